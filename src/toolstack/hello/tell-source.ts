/** What each of the built-in guests can tell of itself, and what both have: their data, and the floor's texts. */
export const tellSource = String.raw`
; port_status(eax: port) -> eax: zero, or a negative errno where ports end; the rest is in "status"
port_status:
  push ebx
  mov word [status], DOMID_SELF
  mov [status + 4], eax
  mov eax, HYPERVISOR_event_channel_op
  mov ebx, EVTCHNOP_status
  mov ecx, status
  vmcall
  pop ebx
  ret

tell_events:
  push ebx
  push edi
  mov edi, 1
events_next:
  mov eax, edi
  call port_status
  test eax, eax
  jnz events_done
  mov ebx, [status + 8]
  test ebx, ebx
  jz events_skip
  call put_self
  mov esi, port_text
  call puts
  mov eax, edi
  call put_decimal
  mov esi, [ebx * 4 + port_states]
  call puts
  cmp ebx, EVTCHNSTAT_interdomain
  ja events_line
  movzx eax, word [status + 16]
  call put_domain
  cmp ebx, EVTCHNSTAT_interdomain
  jnz events_line
  mov esi, remote_port_text
  call puts
  mov eax, [status + 20]
  call put_decimal
events_line:
  call newline
events_skip:
  inc edi
  cmp edi, 32
  jb events_next
events_done:
  pop edi
  pop ebx
  ret

; put_vendor(ebx, edx, ecx: four letters each)
put_vendor:
  mov [number], ebx
  mov [number + 4], edx
  mov [number + 8], ecx
  mov byte [number + 12], 0
  mov esi, number
  jmp puts

tell_cpuid:
  push ebx
  call put_self
  mov esi, vendor_text
  call puts
  xor eax, eax
  cpuid
  call put_vendor
  mov esi, hypervisor_text
  call puts
  mov eax, 0x40000000
  cpuid
  ; The hypervisor's name is in another order.
  mov eax, ecx
  mov ecx, edx
  mov edx, eax
  call put_vendor
  mov esi, version_text
  call puts
  mov eax, 0x40000001
  cpuid
  push eax
  shr eax, 16
  call put_decimal
  mov al, '.'
  call putc
  pop eax
  and eax, 65535
  call put_decimal
  mov esi, knows_text
  call puts
  mov eax, 0x40000004
  xor ecx, ecx
  cpuid
  mov eax, ecx
  call put_domain
  mov esi, end_text
  call puts
  pop ebx
  ret

tell_time:
  push ebx
  call put_self
  mov esi, uptime_text
  call puts
  call uptime
  call put_decimal
  mov esi, wallclock_text
  call puts
  ; UTC at system time 0, and the seconds since.
  call system_time
  mov ebx, 1000000000
  div ebx
  add eax, [SHARED_INFO + WC_SEC]
  xor edx, edx
  mov ebx, 86400
  div ebx
  mov eax, edx
  xor edx, edx
  mov ebx, 3600
  div ebx
  push edx
  call put_two
  mov al, ':'
  call putc
  pop eax
  xor edx, edx
  mov ebx, 60
  div ebx
  push edx
  call put_two
  mov al, ':'
  call putc
  pop eax
  call put_two
  mov esi, utc_text
  call puts
  pop ebx
  ret
`;

/** The data of the sources that both guests have. */
export const commonData = String.raw`
.align 8
param: .long 0, 0, 0, 0
add_to_physmap: .word DOMID_SELF, 0
  .long XENMAPSPACE_shared_info, 0, SHARED_INFO_GFN
port_argument: .long 0
poll: .long poll_ports, 2, 0, 0
poll_ports: .long 0, 0, 0
status: .long 0, 0, 0, 0, 0, 0
putc_to: .long console_putc
console_page: .long 0
console_port: .long 0
store_page: .long 0
store_port: .long 0
link_port: .long 0
self: .long 0
peer: .long 0
watched: .long 0
released: .long 0
message: .long 0, 1, 0, 0
answer: .long 0, 0, 0, 0
port_states:
  .long port_closed, port_unbound, port_interdomain, port_pirq, port_virq, port_ipi
number: .zero 16
number_end: .byte 0
hex_digits: .ascii "0123456789abcdef"
newline_text: .asciz "\r\n"
end_text: .asciz ".\r\n"
domain_text: .asciz "domain "
self_text: .asciz "Domain "
colon_text: .asciz ": "
token: .asciz "t"
domid_path: .asciz "domid"
name_path: .asciz "name"
state_name: .asciz "/state"
ring_name: .asciz "/ring-ref"
channel_name: .asciz "/event-channel"
port_text: .asciz "port "
port_closed: .asciz " is closed"
port_unbound: .asciz " waits for "
port_interdomain: .asciz " leads to "
port_pirq: .asciz " is a physical interrupt"
port_virq: .asciz " is a virtual interrupt"
port_ipi: .asciz " is between my processors"
remote_port_text: .asciz ", port "
vendor_text: .asciz "the processor is "
hypervisor_text: .asciz ", the hypervisor "
version_text: .asciz " "
knows_text: .asciz ", and says that I am "
uptime_text: .asciz "running for "
wallclock_text: .asciz " ms; the time is "
utc_text: .asciz " UTC.\r\n"
`;

/** Room that both guests need, behind everything else. */
export const commonRoom = String.raw`
request: .zero 1100
joined: .zero 1100
path: .zero 1100
.align 16
reply: .zero 4112
  .zero 4096
stack_top: .long 0
`;
