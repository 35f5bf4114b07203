/**
 * The floor of the built-in guest: hypercalls, waiting for events, the console. 32-bit code without paging, as a PVH
 * domain starts, and without interrupts: the guest sleeps in SCHEDOP_poll. Functions keep EBX, ESI, EDI and EBP.
 */
export const runtimeSource = String.raw`
; hvm_get_param(eax: index) -> eax: the parameter's lower half
hvm_get_param:
  push ebx
  mov [param + 4], eax
  mov word [param], DOMID_SELF
  mov eax, HYPERVISOR_hvm_op
  mov ebx, HVMOP_get_param
  mov ecx, param
  vmcall
  mov eax, [param + 8]
  pop ebx
  ret

; Maps shared_info, whose pending bits say which event channels rang. Setting the callback tells Xen that 32-bit code
; reads it; the interrupt line that is named here does not exist.
map_shared_info:
  push ebx
  mov word [param], DOMID_SELF
  mov dword [param + 4], HVM_PARAM_CALLBACK_IRQ
  mov dword [param + 8], 1
  mov eax, HYPERVISOR_hvm_op
  mov ebx, HVMOP_set_param
  mov ecx, param
  vmcall
  mov eax, HYPERVISOR_memory_op
  mov ebx, XENMEM_add_to_physmap
  mov ecx, add_to_physmap
  vmcall
  pop ebx
  ret

; notify(eax: port)
notify:
  push ebx
  mov [port_argument], eax
  mov eax, HYPERVISOR_event_channel_op
  mov ebx, EVTCHNOP_send
  mov ecx, port_argument
  vmcall
  pop ebx
  ret

; Forgets which channels rang. To be followed by a look at what they may have rung for, and only then by wait_event.
clear_events:
  mov dword [SHARED_INFO + EVTCHN_PENDING], 0
  ret

; Sleeps until a channel rings, or half a second is over.
wait_event:
  push ebx
  push esi
  push edi
  call system_time
  add eax, 500000000
  adc edx, 0
  mov [poll + 8], eax
  mov [poll + 12], edx
  mov eax, HYPERVISOR_sched_op
  mov ebx, SCHEDOP_poll
  mov ecx, poll
  vmcall
  pop edi
  pop esi
  pop ebx
  ret

; system_time() -> edx:eax: nanoseconds since the domain began; the time-stamp counter counts them
system_time:
  rdtsc
  ret

; shutdown(eax: reason): does not come back
shutdown:
  mov [port_argument], eax
  mov eax, HYPERVISOR_sched_op
  mov ebx, SCHEDOP_shutdown
  mov ecx, port_argument
  vmcall
  hlt

; putc(al)
putc:
  push ebx
  mov ebx, [console_page]
putc_again:
  mov ecx, [ebx + CONSOLE_out_prod]
  mov edx, ecx
  sub edx, [ebx + CONSOLE_out_cons]
  cmp edx, 2048
  jae putc_full
  mov edx, ecx
  and edx, 2047
  mov [ebx + edx + CONSOLE_out], al
  inc ecx
  mov [ebx + CONSOLE_out_prod], ecx
  pop ebx
  ret
putc_full:
  push eax
  call flush
  call clear_events
  call wait_event
  pop eax
  jmp putc_again

; Tells the other side that there is output.
flush:
  mov eax, [console_port]
  jmp notify

; puts(esi: text that ends with a zero byte)
puts:
  push esi
puts_next:
  mov al, [esi]
  test al, al
  jz puts_done
  inc esi
  call putc
  jmp puts_next
puts_done:
  pop esi
  ret

; put_decimal(eax)
put_decimal:
  push ebx
  push esi
  mov ebx, 10
  mov esi, number_end
put_decimal_next:
  xor edx, edx
  div ebx
  add dl, '0'
  dec esi
  mov [esi], dl
  test eax, eax
  jnz put_decimal_next
  call puts
  pop esi
  pop ebx
  ret

; put_two(eax): below 100, with a leading zero
put_two:
  cmp eax, 10
  jae put_decimal
  push eax
  mov al, '0'
  call putc
  pop eax
  jmp put_decimal

; put_hex(eax)
put_hex:
  push ebx
  push edi
  mov ebx, eax
  mov edi, 8
put_hex_next:
  rol ebx, 4
  mov eax, ebx
  and eax, 15
  mov al, [eax + hex_digits]
  call putc
  dec edi
  jnz put_hex_next
  pop edi
  pop ebx
  ret

newline:
  mov esi, newline_text
  jmp puts

; try_getc() -> eax: a byte that was typed, or -1
try_getc:
  push ebx
  mov ebx, [console_page]
  mov ecx, [ebx + CONSOLE_in_cons]
  mov eax, -1
  cmp ecx, [ebx + CONSOLE_in_prod]
  jz try_getc_done
  mov edx, ecx
  and edx, 1023
  mov al, [ebx + edx]
  and eax, 255
  inc ecx
  mov [ebx + CONSOLE_in_cons], ecx
  push eax
  call flush
  pop eax
try_getc_done:
  pop ebx
  ret

; getc() -> eax: the next byte that is typed
getc:
  call try_getc
  cmp eax, -1
  jnz getc_done
  call flush
  call clear_events
  call try_getc
  cmp eax, -1
  jnz getc_done
  call wait_event
  call idle
  jmp getc
getc_done:
  ret

; getline(): a line into "line", echoed, without its end; an end of input is the line "quit"
getline:
  push edi
  mov edi, line
getline_next:
  call getc
  cmp eax, 4
  jz getline_end_of_input
  cmp eax, 13
  jz getline_done
  cmp eax, 10
  jz getline_done
  cmp eax, 127
  jz getline_back
  cmp eax, 8
  jz getline_back
  cmp eax, 32
  jb getline_next
  cmp edi, line + 63
  jae getline_next
  mov [edi], al
  inc edi
  call putc
  jmp getline_next
getline_back:
  cmp edi, line
  jz getline_next
  dec edi
  push esi
  mov esi, erase_text
  call puts
  pop esi
  jmp getline_next
getline_end_of_input:
  mov dword [line], 0x74697571
  mov edi, line + 4
getline_done:
  mov byte [edi], 0
  push esi
  call newline
  pop esi
  pop edi
  ret

; equal(esi, edi: texts) -> zero flag: whether they are the same
equal:
  push esi
  push edi
equal_next:
  mov al, [esi]
  cmp al, [edi]
  jnz equal_done
  inc esi
  inc edi
  test al, al
  jnz equal_next
equal_done:
  pop edi
  pop esi
  ret

; copy(esi, edi: texts) -> edi: at the copy's zero byte
copy:
  push esi
copy_next:
  mov al, [esi]
  mov [edi], al
  test al, al
  jz copy_done
  inc esi
  inc edi
  jmp copy_next
copy_done:
  pop esi
  ret
`;
