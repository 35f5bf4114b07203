/**
 * The second of the built-in guests, a back end. It finds its front end in xenstore, maps the page that this granted,
 * and answers questions that are put into the page.
 */
export const worldSource = String.raw`
.bits 32
start:
  mov esp, stack_top
  call begin
  mov esi, greeting_text
  call puts
  mov eax, [self]
  call put_domain
  mov esi, end_text
  call puts
  call flush

  ; Who has me for a back end: the first name in my directory of such devices.
  mov esi, back_path
  mov eax, XS_DIRECTORY
  call store_ask
  cmp eax, XS_ERROR
  jz leave
  mov esi, back_path
  mov edi, home
  call copy
  mov byte [edi], '/'
  inc edi
  mov esi, reply
  call copy
  mov esi, device_name
  call copy
  mov eax, front_id_name
  call read_mine
  call parse
  mov [peer], eax
  mov eax, front_name
  call read_mine
  mov edi, front
  call copy

  mov eax, two
  call write_state
  mov esi, front
  call store_watch
  mov eax, state_name
  call front_path
  mov al, '3'
  call await_state
  jnz leave

  ; Maps the page, and joins the channel.
  mov eax, ring_name
  call read_front
  call parse
  mov [map + 12], eax
  mov eax, [peer]
  mov [map + 16], ax
  mov eax, HYPERVISOR_grant_table_op
  mov ebx, GNTTABOP_map_grant_ref
  mov ecx, map
  mov edx, 1
  vmcall
  cmp word [map + 18], GNTST_okay
  jnz leave
  mov eax, channel_name
  call read_front
  call parse
  mov [bind + 4], eax
  mov eax, [peer]
  mov [bind], ax
  mov eax, HYPERVISOR_event_channel_op
  mov ebx, EVTCHNOP_bind_interdomain
  mov ecx, bind
  vmcall
  test eax, eax
  jnz leave
  mov eax, [bind + 8]
  mov [link_port], eax
  mov [poll_ports + 8], eax
  mov dword [poll + 4], 3
  mov eax, four
  call write_state

serve:
  call clear_events
  mov ebx, [WINDOW + LINK_ASKED]
  cmp ebx, [WINDOW + LINK_ANSWERED]
  jz serve_wait
  mov eax, [WINDOW + LINK_QUESTION]
  cmp eax, QUESTIONS
  jae serve
  mov dword [cursor], WINDOW + LINK_TEXT
  mov dword [putc_to], link_putc
  call [eax * 4 + answers]
  mov al, 0
  call putc
  mov dword [putc_to], console_putc
  mov [WINDOW + LINK_ANSWERED], ebx
  mov eax, [link_port]
  call notify
  jmp serve
serve_wait:
  call store_poll
  cmp dword [watched], 0
  jz serve_sleep
  mov dword [watched], 0
  mov eax, state_name
  call front_path
  call store_read
  jz leave
serve_sleep:
  call wait_event
  jmp serve

; There is nobody to serve.
leave:
  mov eax, SHUTDOWN_poweroff
  jmp shutdown

; link_putc(al): into the shared page
link_putc:
  mov ecx, [cursor]
  cmp ecx, WINDOW + LINK_END
  jae link_full
  mov [ecx], al
  inc dword [cursor]
link_full:
  ret

; read_mine(eax: name) -> esi: the value of a node of the device's
read_mine:
  mov esi, home
  call child
  call store_read
  mov esi, reply
  ret

; front_path(eax: name) -> esi: the path of a node of the front end's
front_path:
  mov esi, front
  jmp child

; read_front(eax: name) -> esi: the value of a node of the front end's
read_front:
  call front_path
  call store_read
  mov esi, reply
  ret

; write_state(eax: digit as text)
write_state:
  push edi
  mov edi, eax
  mov esi, home
  mov eax, state_name
  call child
  call store_write
  pop edi
  ret

answer_ping:
  ret

answer_name:
  mov eax, [self]
  call put_domain
  mov esi, called_text
  call puts
  mov esi, name_path
  call store_read
  mov esi, reply
  jmp puts

answer_grants:
  call put_self
  mov esi, mapped_text
  call puts
  mov eax, [map + 12]
  call put_decimal
  mov esi, of_text
  call puts
  mov eax, [peer]
  call put_domain
  mov esi, handle_text
  call puts
  mov eax, [map + 20]
  call put_decimal
  mov esi, read_text
  call puts
  mov esi, WINDOW + LINK_GREETING
  call puts
  mov esi, quote_text
  jmp puts

answer_crash:
  ; There is no interrupt table: the exception faults, the fault faults, and that is the end.
  ud2

answer_quit:
  mov eax, SHUTDOWN_poweroff
  jmp shutdown
`;

/** What the second guest says, and where it keeps what it knows. */
export const worldData = String.raw`
.align 8
answers: .long answer_ping, answer_name, answer_grants, tell_events, tell_cpuid, tell_time, answer_crash, answer_quit
map: .long WINDOW, 0, GNTMAP_host_map, 0, 0, 0, 0, 0
bind: .long 0, 0, 0
cursor: .long 0
two: .asciz "2"
four: .asciz "4"
back_path: .asciz "backend/tour"
device_name: .asciz "/0"
front_id_name: .asciz "/frontend-id"
front_name: .asciz "/frontend"
greeting_text: .asciz "\r\nI have no prompt. I am "
called_text: .asciz ", called "
mapped_text: .asciz "I have mapped entry "
of_text: .asciz " of "
handle_text: .asciz ", and its handle is "
read_text: .asciz ". There I read \""
quote_text: .asciz "\"\r\n"
home: .zero 256
front: .zero 256
`;
