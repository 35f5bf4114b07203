/** The built-in guests' xenstore client: one request at a time over the ring. xen/include/public/io/xs_wire.h. */
export const xenstoreSource = String.raw`
; store_put(esi: bytes, ecx: how many): writes into the request ring, which is empty between requests
store_put:
  push ebx
  push esi
  push edi
  mov ebx, [store_page]
  mov edi, [ebx + XS_req_prod]
store_put_next:
  test ecx, ecx
  jz store_put_done
  mov edx, edi
  and edx, 1023
  mov al, [esi]
  mov [ebx + edx], al
  inc esi
  inc edi
  dec ecx
  jmp store_put_next
store_put_done:
  mov [ebx + XS_req_prod], edi
  pop edi
  pop esi
  pop ebx
  ret

; store_take(edi: where to, ecx: how many bytes): waits for them
store_take:
  push ebx
  push esi
  mov ebx, [store_page]
store_take_next:
  test ecx, ecx
  jz store_take_done
  mov edx, [ebx + XS_rsp_cons]
  cmp edx, [ebx + XS_rsp_prod]
  jz store_take_wait
  mov esi, edx
  and esi, 1023
  mov al, [ebx + esi + XS_rsp]
  mov [edi], al
  inc edi
  inc edx
  mov [ebx + XS_rsp_cons], edx
  dec ecx
  jmp store_take_next
store_take_wait:
  push ecx
  mov eax, [store_port]
  call notify
  call clear_events
  mov edx, [ebx + XS_rsp_cons]
  cmp edx, [ebx + XS_rsp_prod]
  jnz store_take_again
  call wait_event
store_take_again:
  pop ecx
  jmp store_take_next
store_take_done:
  pop esi
  pop ebx
  ret

; store_request(eax: type, esi: payload, ecx: its length) -> eax: the reply's type, ecx: its length; the reply is in "reply"
store_request:
  push edi
  mov [message], eax
  mov [message + 12], ecx
  push esi
  push ecx
  mov esi, message
  mov ecx, 16
  call store_put
  pop ecx
  pop esi
  call store_put
  mov eax, [store_port]
  call notify
store_reply:
  call store_receive
  cmp eax, XS_WATCH_EVENT
  jz store_reply
  pop edi
  ret

; store_receive() -> eax: a message's type, ecx: its length; it is in "reply", with a zero byte behind it. Of a watch's
; event is kept that there was one, and whether it was @releaseDomain's.
store_receive:
  push edi
  mov edi, answer
  mov ecx, 16
  call store_take
  mov edi, reply
  mov ecx, [answer + 12]
  call store_take
  mov byte [edi], 0
  mov eax, [store_port]
  call notify
  mov eax, [answer]
  mov ecx, [answer + 12]
  cmp eax, XS_WATCH_EVENT
  jnz store_received
  mov dword [watched], 1
  cmp byte [reply], '@'
  jnz store_received
  mov dword [released], 1
store_received:
  pop edi
  ret

; store_poll(): takes what came of itself: events of watches
store_poll:
  mov eax, [store_page]
  mov ecx, [eax + XS_rsp_cons]
  cmp ecx, [eax + XS_rsp_prod]
  jz store_polled
  call store_receive
  jmp store_poll
store_polled:
  ret

; store_ask(eax: type, esi: path) -> as store_request
store_ask:
  push ebx
  xor ecx, ecx
store_ask_length:
  mov bl, [esi + ecx]
  inc ecx
  test bl, bl
  jnz store_ask_length
  pop ebx
  jmp store_request

; store_read(esi: path) -> zero flag: whether there is none; the value is in "reply"
store_read:
  mov eax, XS_READ
  call store_ask
  cmp eax, XS_ERROR
  ret

; store_write(esi: path, edi: value)
store_write:
  push esi
  push edi
  mov edi, request
  call copy
  inc edi
  pop esi
  push esi
  call copy
  mov ecx, edi
  sub ecx, request
  mov esi, request
  mov eax, XS_WRITE
  call store_request
  pop edi
  pop esi
  ret

; store_watch(esi: path)
store_watch:
  push esi
  push edi
  mov edi, request
  call copy
  inc edi
  mov esi, token
  call copy
  inc edi
  mov ecx, edi
  sub ecx, request
  mov esi, request
  mov eax, XS_WATCH
  call store_request
  pop edi
  pop esi
  ret

; child(esi: a path, eax: what follows it) -> esi: both together, until the next call
child:
  push edi
  push eax
  mov edi, joined
  call copy
  pop esi
  call copy
  mov esi, joined
  pop edi
  ret

; await_state(esi: path of a device's state, al: a digit) -> zero flag: whether it came in time. Its directory is
; being watched.
await_state:
  push ebx
  push edi
  mov bl, al
  call uptime
  lea edi, [eax + PATIENCE]
await_again:
  mov dword [watched], 0
  call store_read
  jz await_more
  cmp byte [reply], bl
  jz await_done
await_more:
  call clear_events
  call store_poll
  cmp dword [watched], 0
  jnz await_again
  call wait_event
  call uptime
  cmp eax, edi
  jb await_again
  cmp esp, 0
await_done:
  pop edi
  pop ebx
  ret
`;
