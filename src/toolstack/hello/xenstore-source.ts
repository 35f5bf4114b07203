/** The built-in guest's xenstore client: one request at a time over the ring. xen/include/public/io/xs_wire.h. */
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
  mov edi, answer
  mov ecx, 16
  call store_take
  mov edi, reply
  mov ecx, [answer + 12]
  call store_take
  mov byte [edi], 0
  mov eax, [answer]
  cmp eax, XS_WATCH_EVENT
  jz store_reply
  push eax
  mov eax, [store_port]
  call notify
  pop eax
  mov ecx, [answer + 12]
  pop edi
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

; tree(): prints the node whose path is in "path", and all below it; ebp: its depth
tree:
  push ebx
  push esi
  push edi
  mov esi, path
  mov eax, XS_READ
  call store_ask
  cmp eax, XS_ERROR
  jz tree_done
  mov ebx, ebp
tree_indent:
  test ebx, ebx
  jz tree_name
  mov esi, indent_text
  call puts
  dec ebx
  jmp tree_indent
tree_name:
  mov esi, [path_name]
  call puts
  mov esi, is_text
  call puts
  mov esi, reply
  call puts
  mov esi, quote_text
  call puts

  mov esi, path
  mov eax, XS_DIRECTORY
  call store_ask
  cmp eax, XS_ERROR
  jz tree_done
  ; The names stay on a heap of their own while those below are listed.
  mov edi, [heap]
  push edi
  mov esi, reply
  mov ebx, edi
  rep movsb
  mov [heap], edi
  push dword [path_name]
tree_child:
  cmp ebx, [heap]
  jae tree_children_done
  ; Appends "/" and the name.
  mov edi, path
  xor eax, eax
tree_end_of_path:
  cmp byte [edi], 0
  jz tree_append
  inc edi
  jmp tree_end_of_path
tree_append:
  push edi
  mov byte [edi], '/'
  inc edi
  mov [path_name], edi
  mov esi, ebx
  call copy
  inc ebp
  push dword [heap]
  call tree
  pop dword [heap]
  dec ebp
  pop edi
  mov byte [edi], 0
tree_next_name:
  mov al, [ebx]
  inc ebx
  test al, al
  jnz tree_next_name
  jmp tree_child
tree_children_done:
  pop dword [path_name]
  pop dword [heap]
tree_done:
  pop edi
  pop esi
  pop ebx
  ret
`;
