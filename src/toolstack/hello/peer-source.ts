/** How the first of the built-in guests finds the second one, asks it, and learns that it is gone. */
export const peerSource = String.raw`
; connect(): the front end's part of xenbus's states. Afterwards "peer" is the other domain, or zero.
connect:
  mov esi, peer_path
  call store_read
  jz connect_alone
  mov esi, reply
  call parse
  mov ebx, eax
  mov esi, back_path
  call store_read
  mov esi, reply
  mov edi, back
  call copy

  ; The page, with a text in it, and the entry that lets the other domain map it.
  mov esi, page_text
  mov edi, LINK + LINK_GREETING
  call copy
  mov eax, HYPERVISOR_memory_op
  push ebx
  mov ebx, XENMEM_add_to_physmap
  mov ecx, add_grant_table
  vmcall
  pop ebx
  mov dword [ENTRY + 4], LINK_GFN
  mov [ENTRY + 2], bx
  mov word [ENTRY], GTF_permit_access

  mov [unbound + 2], bx
  push ebx
  mov eax, HYPERVISOR_event_channel_op
  mov ebx, EVTCHNOP_alloc_unbound
  mov ecx, unbound
  vmcall
  pop ebx
  mov eax, [unbound + 4]
  mov [link_port], eax
  mov [poll_ports + 8], eax
  mov dword [poll + 4], 3
  call format
  mov edi, esi
  mov esi, port_path
  call store_write
  mov esi, ring_path
  mov edi, entry_text
  call store_write
  mov esi, state_path
  mov edi, three
  call store_write

  mov esi, back
  call store_watch
  mov esi, release_path
  call store_watch
  mov esi, back
  mov eax, state_name
  call child
  mov al, '4'
  call await_state
  jnz connect_failed
  mov esi, state_path
  mov edi, four
  call store_write
  mov [peer], ebx
  mov eax, QUESTION_name
  call ask
  jnz connect_failed
  mov esi, met_text
  call puts
  mov esi, LINK + LINK_TEXT
  call puts
  mov esi, met_end_text
  jmp puts
connect_failed:
  mov dword [peer], 0
  mov esi, failed_text
  jmp puts
connect_alone:
  mov esi, alone_text
  jmp puts

; ask(eax: question) -> zero flag: whether there was an answer, which is now in the page
ask:
  push ebx
  mov [LINK + LINK_QUESTION], eax
  inc dword [LINK + LINK_ASKED]
  mov eax, [link_port]
  call notify
  call uptime
  lea ebx, [eax + PATIENCE]
ask_wait:
  call clear_events
  mov eax, [LINK + LINK_ANSWERED]
  cmp eax, [LINK + LINK_ASKED]
  jz ask_done
  call peer_look
  cmp dword [peer], 0
  jz ask_gone
  call wait_event
  call uptime
  cmp eax, ebx
  jb ask_wait
ask_gone:
  cmp esp, 0
ask_done:
  pop ebx
  ret

; ask_aloud(eax: question): prints the answer, if there is somebody to ask
ask_aloud:
  cmp dword [peer], 0
  jz ask_silent
  call ask
  jnz ask_silent
  mov esi, LINK + LINK_TEXT
  jmp puts
ask_silent:
  ret

; peer_look(): when @releaseDomain was told, looks whether the other domain is gone. Then its nodes are, the channel has lost
; its other end, and nothing uses the page: all three, as they do not go at once.
peer_look:
  push ebx
  call store_poll
  cmp dword [peer], 0
  jz peer_looked
  cmp dword [released], 0
  jz peer_looked
  mov dword [released], 0
  mov esi, back
  mov eax, state_name
  call child
  call store_read
  jnz peer_looked
  mov ebx, 500
peer_wait:
  mov eax, [link_port]
  call port_status
  cmp dword [status + 8], EVTCHNSTAT_interdomain
  jz peer_wait_more
  test word [ENTRY], GTF_IN_USE
  jz peer_gone
peer_wait_more:
  call clear_events
  mov eax, 2000000
  call wait_event_for
  dec ebx
  jnz peer_wait
peer_gone:
  mov eax, [peer]
  mov [gone], eax
  mov dword [peer], 0
peer_looked:
  pop ebx
  ret

; tell_gone(): says once that the other domain is gone
tell_gone:
  cmp dword [gone], 0
  jz tell_nothing
  cmp dword [told], 0
  jnz tell_nothing
  mov dword [told], 1
  mov esi, gone_text
  call puts
  mov eax, [gone]
  call put_domain
  mov esi, gone_port_text
  call puts
  mov eax, [link_port]
  call put_decimal
  mov esi, gone_end_text
  jmp puts
tell_nothing:
  ret
`;
