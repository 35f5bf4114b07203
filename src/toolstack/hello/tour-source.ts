/**
 * The first of the built-in guests, which has a prompt. It is the front end of a device whose back end is the second one:
 * it grants that a page, and asks it questions through it. Without such a device in xenstore it is alone.
 */
export const tourSource = String.raw`
.bits 32
start:
  mov esp, stack_top
  call begin
  mov esi, greeting_text
  call puts
  mov eax, [self]
  call put_domain
  mov esi, called_text
  call puts
  mov esi, name_path
  call store_read
  mov esi, reply
  call puts
  mov esi, end_text
  call puts
  call flush
  call connect
  call help

prompt:
  mov esi, prompt_text
  call puts
  call flush
  call getline
  call tell_gone
  cmp byte [line], 0
  jz prompt
  mov ebx, commands
prompt_look:
  mov edi, [ebx]
  test edi, edi
  jz prompt_unknown
  mov esi, line
  call equal
  jz prompt_found
  add ebx, 8
  jmp prompt_look
prompt_found:
  mov eax, [ebx + 4]
  call eax
  jmp prompt
prompt_unknown:
  mov esi, unknown_text
  call puts
  jmp prompt

; Called now and then while the guest waits for a key; edi: where the next one goes. Whoever types is told at once what
; has become of the other domain.
idle:
  push esi
  call peer_look
  cmp dword [peer], 0
  jnz idle_done
  cmp dword [gone], 0
  jz idle_done
  cmp dword [told], 0
  jnz idle_done
  call newline
  call tell_gone
  mov esi, prompt_text
  call puts
  mov byte [edi], 0
  mov esi, line
  call puts
idle_done:
  pop esi
  ret

help:
  mov esi, help_text
  jmp puts

do_xenstore:
  mov esi, store_intro_text
  call puts
  ; Where my nodes are: GET_DOMAIN_PATH of my own number.
  mov eax, [self]
  call format
  mov eax, XS_GET_DOMAIN_PATH
  call store_ask
  mov esi, reply
  mov edi, path
  call copy
  mov dword [path_name], path
  xor ebp, ebp
  call tree
  cmp dword [peer], 0
  jz xenstore_done
  mov esi, store_peer_text
  call puts
  mov esi, back
  mov edi, path
  call copy
  mov dword [path_name], path
  call tree
xenstore_done:
  ret

do_grants:
  push ebx
  mov eax, HYPERVISOR_grant_table_op
  mov ebx, GNTTABOP_query_size
  mov ecx, query_size
  mov edx, 1
  vmcall
  call put_self
  mov esi, grants_text
  call puts
  mov eax, [query_size + 4]
  call put_decimal
  mov esi, grants_of_text
  call puts
  mov eax, [query_size + 8]
  call put_decimal
  mov esi, end_text
  call puts
  cmp dword [link_port], 0
  jz grants_done
  ; The entries that are set, as they are in the table now.
  xor ebx, ebx
grants_next:
  mov ax, [ebx * 8 + GRANT_TABLE]
  test ax, GTF_permit_access
  jz grants_skip
  call put_self
  mov esi, entry_is_text
  call puts
  mov eax, ebx
  call put_decimal
  mov esi, frame_text
  call puts
  mov eax, [ebx * 8 + GRANT_TABLE + 4]
  call put_hex
  mov esi, for_text
  call puts
  movzx eax, word [ebx * 8 + GRANT_TABLE + 2]
  call put_domain
  mov esi, unused_text
  test word [ebx * 8 + GRANT_TABLE], GTF_IN_USE
  jz grants_use
  mov esi, reading_text
  test word [ebx * 8 + GRANT_TABLE], GTF_writing
  jz grants_use
  mov esi, writing_text
grants_use:
  call puts
grants_skip:
  inc ebx
  cmp ebx, 32
  jb grants_next
  mov eax, QUESTION_grants
  call ask_aloud
grants_done:
  pop ebx
  ret

do_events:
  call tell_events
  cmp dword [peer], 0
  jz events_alone
  mov eax, QUESTION_events
  call ask_aloud
  ; There and back.
  rdtsc
  push eax
  mov eax, QUESTION_ping
  call ask
  pop ecx
  jnz events_alone
  rdtsc
  sub eax, ecx
  xor edx, edx
  mov ecx, 1000
  div ecx
  push eax
  mov esi, ping_text
  call puts
  mov eax, [peer]
  call put_domain
  mov esi, ping_took_text
  call puts
  pop eax
  call put_decimal
  mov esi, ping_end_text
  call puts
events_alone:
  ret

do_cpuid:
  call tell_cpuid
  mov eax, QUESTION_cpuid
  jmp ask_aloud

do_time:
  call tell_time
  mov eax, QUESTION_time
  jmp ask_aloud

do_crash:
  cmp dword [peer], 0
  jz crash_nobody
  mov esi, crash_text
  call puts
  mov eax, [peer]
  call put_domain
  mov esi, crash_how_text
  call puts
  call flush
  mov eax, QUESTION_crash
  call ask
  cmp dword [peer], 0
  jz tell_gone
  mov esi, failed_text
  jmp puts
crash_nobody:
  cmp dword [gone], 0
  jz crash_self
  mov esi, nobody_text
  jmp puts
crash_self:
  mov esi, crash_self_text
  call puts
  call flush
  ; There is no interrupt table: the exception faults, the fault faults, and that is the end.
  ud2

do_quit:
  cmp dword [peer], 0
  jz quit_self
  mov esi, quit_text
  call puts
  mov eax, [peer]
  call put_domain
  mov esi, quit_too_text
  call puts
  call flush
  mov eax, QUESTION_quit
  call ask
  mov esi, failed_text
  cmp dword [peer], 0
  jnz quit_alone
  mov esi, quit_done_text
quit_alone:
  call puts
quit_self:
  mov esi, off_text
  call puts
  call flush
  mov eax, SHUTDOWN_poweroff
  jmp shutdown
`;
