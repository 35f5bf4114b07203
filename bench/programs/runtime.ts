/**
 * What the assembled benchmark programs share: a static Linux program without a C library. `report` prints the name at
 * rsi and the nanoseconds a round that r12 (start) … now and r15 (rounds) make, as "name 123\n".
 */
export const runtime = `
now:                     ; CLOCK_MONOTONIC in nanoseconds, in rax
  mov eax, 228
  mov edi, 1
  lea rsi, [rip + timespec]
  syscall
  mov rax, [rip + timespec]
  mov ecx, 1000000000
  mul rcx
  add rax, [rip + timespec + 8]
  ret

report:
  push rsi
  call now
  sub rax, r12
  xor edx, edx
  div r15
  mov rcx, rax
  pop rsi
  call puts
  mov rax, rcx
  lea rdi, [rip + digits + 20]
  mov ecx, 10
  mov byte [rdi], 10
digit:
  sub rdi, 1
  xor edx, edx
  div rcx
  add edx, '0'
  mov [rdi], dl
  test rax, rax
  jnz digit
  mov rsi, rdi
  lea rdx, [rip + digits + 21]
  sub rdx, rdi
  mov eax, 1
  mov edi, 1
  syscall
  ret

puts:                    ; writes the string at rsi
  push rcx
  mov rdx, -1
length:
  add rdx, 1
  cmp byte [rsi + rdx], 0
  jnz length
  mov eax, 1
  mov edi, 1
  syscall
  pop rcx
  ret

exit:
  xor edi, edi
  mov eax, 60
  syscall

.align 8
timespec: .quad 0, 0
digits: .zero 24
`;

/** getppid() in a loop. */
export const getppid = `
  mov r15, 500000
  call now
  mov r12, rax
  mov rbx, r15
again:
  mov eax, 110
  syscall
  sub rbx, 1
  jnz again
  lea rsi, [rip + name]
  call report
  call exit
name: .asciz "getppid "
`;

/** A fault on each page of a mapping that is thrown away and touched again. */
export const pageFaults = `
  mov eax, 9             ; mmap(0, 4 MiB, READ|WRITE, PRIVATE|ANONYMOUS, -1, 0)
  xor edi, edi
  mov esi, 0x400000
  mov edx, 3
  mov r10d, 0x22
  mov r8, -1
  xor r9d, r9d
  syscall
  mov r14, rax
  mov eax, 28            ; madvise(…, MADV_NOHUGEPAGE)
  mov rdi, r14
  mov esi, 0x400000
  mov edx, 15
  syscall
  mov r15, 20480
  call now
  mov r12, rax
  mov r13d, 20
round:
  mov rdi, r14
  mov ecx, 1024
touch:
  mov byte [rdi], 1
  add rdi, 0x1000
  sub ecx, 1
  jnz touch
  mov eax, 28            ; madvise(…, MADV_DONTNEED)
  mov rdi, r14
  mov esi, 0x400000
  mov edx, 4
  syscall
  sub r13d, 1
  jnz round
  lea rsi, [rip + name]
  call report
  call exit
name: .asciz "page-fault "
`;

/** Two processes hand a byte back and forth. */
export const pingPong = `
  lea rdi, [rip + pipes]
  mov eax, 22
  syscall
  lea rdi, [rip + pipes + 8]
  mov eax, 22
  syscall
  mov r15, 20000
  call now
  mov r12, rax
  mov rbx, r15
  mov eax, 57            ; fork
  syscall
  test eax, eax
  jz child
parent:
  mov edi, [rip + pipes + 4]
  call writeByte
  mov edi, [rip + pipes + 8]
  call readByte
  sub rbx, 1
  jnz parent
  lea rsi, [rip + name]
  call report
  call exit
child:
  mov edi, [rip + pipes]
  call readByte
  mov edi, [rip + pipes + 12]
  call writeByte
  sub rbx, 1
  jnz child
  call exit
writeByte:
  mov eax, 1
  jmp transfer
readByte:
  xor eax, eax
transfer:
  lea rsi, [rip + byte]
  mov edx, 1
  syscall
  ret
name: .asciz "ping-pong "
.align 4
pipes: .long 0, 0, 0, 0
byte: .byte 0
`;

/** Processes forked and waited for. */
export const forks = `
  mov r15, 500
  call now
  mov r12, rax
  mov rbx, r15
again:
  mov eax, 57
  syscall
  test eax, eax
  jz exit
  mov edi, eax
  mov eax, 61            ; wait4(pid, 0, 0, 0)
  xor esi, esi
  xor edx, edx
  xor r10d, r10d
  syscall
  sub rbx, 1
  jnz again
  lea rsi, [rip + name]
  call report
  call exit
name: .asciz "fork "
`;
