/** Lists a part of xenstore, for the guest that has a prompt. */
export const treeSource = String.raw`
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
