/**
 * The floor of the built-in guests: hypercalls, waiting for events, text. 32-bit code without paging, as a PVH domain
 * starts, and without interrupts: the guests sleep in SCHEDOP_poll. Functions keep EBX, ESI, EDI and EBP.
 */
export const runtimeSource = String.raw`
; begin(): finds the console, xenstore, and who the domain is
begin:
  call map_shared_info
  mov eax, HVM_PARAM_CONSOLE_PFN
  call hvm_get_param
  shl eax, 12
  mov [console_page], eax
  mov eax, HVM_PARAM_CONSOLE_EVTCHN
  call hvm_get_param
  mov [console_port], eax
  mov [poll_ports], eax
  mov eax, HVM_PARAM_STORE_PFN
  call hvm_get_param
  shl eax, 12
  mov [store_page], eax
  mov eax, HVM_PARAM_STORE_EVTCHN
  call hvm_get_param
  mov [store_port], eax
  mov [poll_ports + 4], eax
  mov esi, domid_path
  call store_read
  mov esi, reply
  call parse
  mov [self], eax
  ret

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
  mov byte [SHARED_INFO + UPCALL_PENDING], 0
  mov dword [SHARED_INFO + PENDING_SEL], 0
  mov dword [SHARED_INFO + EVTCHN_PENDING], 0
  ret

; Sleeps until a channel rings, or half a second is over.
wait_event:
  mov eax, 500000000
; wait_event_for(eax: nanoseconds)
wait_event_for:
  push ebx
  push esi
  push edi
  mov ebx, eax
  call system_time
  add eax, ebx
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

; uptime() -> eax: milliseconds since the domain began, for 49 days
uptime:
  push ebx
  call system_time
  mov ebx, 1000000
  div ebx
  pop ebx
  ret

; shutdown(eax: reason): does not come back
shutdown:
  mov [port_argument], eax
  mov eax, HYPERVISOR_sched_op
  mov ebx, SCHEDOP_shutdown
  mov ecx, port_argument
  vmcall
  hlt

; putc(al): to wherever output goes now
putc:
  jmp dword [putc_to]
console_putc:
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

; format(eax) -> esi: the number as text, until the next call
format:
  push ebx
  mov ebx, 10
  mov esi, number_end
format_next:
  xor edx, edx
  div ebx
  add dl, '0'
  dec esi
  mov [esi], dl
  test eax, eax
  jnz format_next
  pop ebx
  ret

; put_decimal(eax)
put_decimal:
  push esi
  call format
  call puts
  pop esi
  ret

; parse(esi: text that begins with a number) -> eax
parse:
  push esi
  xor eax, eax
parse_next:
  movzx ecx, byte [esi]
  sub ecx, '0'
  cmp ecx, 10
  jae parse_done
  imul eax, eax, 10
  add eax, ecx
  inc esi
  jmp parse_next
parse_done:
  pop esi
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
  push esi
  mov esi, newline_text
  call puts
  pop esi
  ret

; put_domain(eax): "domain N"
put_domain:
  push esi
  push eax
  mov esi, domain_text
  call puts
  pop eax
  call put_decimal
  pop esi
  ret

; put_self(): "Domain N: "
put_self:
  push esi
  mov esi, self_text
  call puts
  mov eax, [self]
  call put_decimal
  mov esi, colon_text
  call puts
  pop esi
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
