/** Lines from the console, for the guest that has a prompt. It supplies "idle", which is called now and then while it waits. */
export const keyboardSource = String.raw`
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
`;
