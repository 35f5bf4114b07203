/** The built-in guest itself: finds its console and its xenstore, and answers at a prompt. */
export const tourSource = String.raw`
.bits 32
start:
  mov esp, stack_top
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

  mov esi, greeting_text
  call puts
  mov esi, domid_path
  mov eax, XS_READ
  call store_ask
  mov esi, reply
  call puts
  mov esi, greeting_name_text
  call puts
  mov esi, name_path
  mov eax, XS_READ
  call store_ask
  mov esi, reply
  call puts
  mov esi, greeting_end_text
  call puts
  call help

prompt:
  mov esi, prompt_text
  call puts
  call flush
  call getline
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

; Called now and then while the guest waits for a key.
idle:
  ret

help:
  mov esi, help_text
  jmp puts

do_xenstore:
  mov esi, store_intro_text
  call puts
  ; Where my nodes are: GET_DOMAIN_PATH of my own number.
  mov esi, domid_path
  mov eax, XS_READ
  call store_ask
  mov esi, reply
  mov edi, number
  call copy
  mov esi, number
  mov eax, XS_GET_DOMAIN_PATH
  call store_ask
  mov esi, reply
  mov edi, path
  call copy
  mov dword [path_name], path
  xor ebp, ebp
  jmp tree

do_grants:
  push ebx
  mov eax, HYPERVISOR_grant_table_op
  mov ebx, GNTTABOP_query_size
  mov ecx, query_size
  mov edx, 1
  vmcall
  mov esi, grants_text
  call puts
  mov eax, [query_size + 4]
  call put_decimal
  mov esi, grants_of_text
  call puts
  mov eax, [query_size + 8]
  call put_decimal
  mov esi, grants_end_text
  call puts
  pop ebx
  ret

do_events:
  push ebx
  push edi
  mov edi, 1
events_next:
  mov word [status], DOMID_SELF
  mov [status + 4], edi
  mov eax, HYPERVISOR_event_channel_op
  mov ebx, EVTCHNOP_status
  mov ecx, status
  vmcall
  test eax, eax
  jnz events_done
  mov ebx, [status + 8]
  test ebx, ebx
  jz events_skip
  mov esi, port_text
  call puts
  mov eax, edi
  call put_decimal
  mov esi, [ebx * 4 + port_states]
  call puts
  cmp ebx, 2
  jnz events_line
  movzx eax, word [status + 16]
  call put_decimal
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

do_cpuid:
  push ebx
  mov esi, vendor_text
  call puts
  xor eax, eax
  cpuid
  mov [number], ebx
  mov [number + 4], edx
  mov [number + 8], ecx
  mov byte [number + 12], 0
  mov esi, number
  call puts
  mov esi, hypervisor_text
  call puts
  mov eax, 0x40000000
  cpuid
  mov [number], ebx
  mov [number + 4], ecx
  mov [number + 8], edx
  mov byte [number + 12], 0
  mov esi, number
  call puts
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
  call newline
  pop ebx
  ret

do_time:
  push ebx
  mov esi, uptime_text
  call puts
  call system_time
  mov ebx, 1000000
  div ebx
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

do_crash:
  mov esi, crash_text
  call puts
  call flush
  ; There is no interrupt table: the exception faults, the fault faults, and that is the end.
  ud2

do_quit:
  mov esi, quit_text
  call puts
  call flush
  mov eax, SHUTDOWN_poweroff
  jmp shutdown
`;

/** What the guest says, and where it keeps what it knows. */
export const tourData = String.raw`
.align 8
commands:
  .long xenstore_word, do_xenstore, grants_word, do_grants, events_word, do_events, cpuid_word, do_cpuid
  .long time_word, do_time, crash_word, do_crash, quit_word, do_quit, help_word, help, 0, 0
port_states:
  .long port_closed, port_unbound, port_interdomain, port_pirq, port_virq, port_ipi
param: .long 0, 0, 0, 0
add_to_physmap: .word DOMID_SELF, 0
  .long XENMAPSPACE_shared_info, 0, SHARED_INFO_GFN
port_argument: .long 0
poll: .long poll_ports, 2, 0, 0
poll_ports: .long 0, 0
query_size: .word DOMID_SELF, 0
  .long 0, 0, 0
status: .long 0, 0, 0, 0, 0, 0
console_page: .long 0
console_port: .long 0
store_page: .long 0
store_port: .long 0
heap: .long heap_start
path_name: .long 0
message: .long 0, 1, 0, 0
answer: .long 0, 0, 0, 0
number: .zero 16
number_end: .byte 0
hex_digits: .ascii "0123456789abcdef"
newline_text: .asciz "\r\n"
erase_text: .byte 8, 32, 8, 0
greeting_text: .asciz "\r\nHello from a domain. xenstore says that I am domain "
greeting_name_text: .asciz ", called "
greeting_end_text: .asciz ".\r\n"
prompt_text: .asciz "hello> "
unknown_text: .asciz "There is no such command; \"help\" lists them.\r\n"
help_text: .ascii "  xenstore  what the toolstack wrote about me     grants  my grant table\r\n"
  .ascii "  events    my event channels                     cpuid   my processor\r\n"
  .ascii "  time      how long I run, and the time of day   crash   a triple fault\r\n"
  .asciz "  quit      power off                             help    this list\r\n"
xenstore_word: .asciz "xenstore"
grants_word: .asciz "grants"
events_word: .asciz "events"
cpuid_word: .asciz "cpuid"
time_word: .asciz "time"
crash_word: .asciz "crash"
quit_word: .asciz "quit"
help_word: .asciz "help"
domid_path: .asciz "domid"
name_path: .asciz "name"
store_intro_text: .asciz "Read from xenstore, node by node:\r\n"
indent_text: .asciz "  "
is_text: .asciz " = \""
quote_text: .asciz "\"\r\n"
grants_text: .asciz "My grant table has "
grants_of_text: .asciz " frames, and may have "
grants_end_text: .asciz ".\r\n"
port_text: .asciz "Port "
port_closed: .asciz ": closed"
port_unbound: .asciz ": waits for its other end"
port_interdomain: .asciz ": leads to domain "
port_pirq: .asciz ": a physical interrupt"
port_virq: .asciz ": a virtual interrupt"
port_ipi: .asciz ": between my processors"
remote_port_text: .asciz ", port "
vendor_text: .asciz "Processor: "
hypervisor_text: .asciz "\r\nHypervisor: "
version_text: .asciz ", version "
uptime_text: .asciz "Running for "
wallclock_text: .asciz " ms. The time is "
utc_text: .asciz " UTC.\r\n"
crash_text: .asciz "Goodbye.\r\n"
quit_text: .asciz "Powering off.\r\n"
line: .zero 68
path: .zero 1024
.align 16
reply: .zero 4100
heap_start: .zero 16384
  .zero 4096
stack_top: .long 0
`;
