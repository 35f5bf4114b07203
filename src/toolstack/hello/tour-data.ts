/** What the first of the built-in guests says, and where it keeps what it knows. */
export const tourData = String.raw`
.align 8
commands:
  .long xenstore_word, do_xenstore, grants_word, do_grants, events_word, do_events, cpuid_word, do_cpuid
  .long time_word, do_time, crash_word, do_crash, quit_word, do_quit, help_word, help, 0, 0
add_grant_table: .word DOMID_SELF, 0
  .long XENMAPSPACE_grant_table, 0, GRANT_TABLE_GFN
unbound: .word DOMID_SELF, 0
  .long 0
query_size: .word DOMID_SELF, 0
  .long 0, 0, 0
gone: .long 0
told: .long 0
heap: .long heap_start
path_name: .long 0
erase_text: .byte 8, 32, 8, 0
greeting_text: .asciz "\r\nHello from a domain. xenstore says that I am "
called_text: .asciz ", called "
met_text: .asciz "There I have found "
met_end_text: .asciz ": it has mapped a page of mine, and we share an event channel.\r\n"
alone_text: .asciz "There is no other domain for me.\r\n"
failed_text: .asciz "The other domain does not answer.\r\n"
page_text: .asciz "Greetings from the page's owner."
prompt_text: .asciz "hello> "
unknown_text: .asciz "There is no such command; \"help\" lists them.\r\n"
help_text: .ascii "  xenstore  what is written about us              grants  my grant table, and who uses it\r\n"
  .ascii "  events    our event channels, and a round trip  cpuid   our processors\r\n"
  .ascii "  time      how long we run, and the time of day  crash   what becomes of the other domain\r\n"
  .asciz "  quit      power off, both of us                 help    this list\r\n"
xenstore_word: .asciz "xenstore"
grants_word: .asciz "grants"
events_word: .asciz "events"
cpuid_word: .asciz "cpuid"
time_word: .asciz "time"
crash_word: .asciz "crash"
quit_word: .asciz "quit"
help_word: .asciz "help"
peer_path: .asciz "device/tour/0/backend-id"
back_path: .asciz "device/tour/0/backend"
port_path: .asciz "device/tour/0/event-channel"
ring_path: .asciz "device/tour/0/ring-ref"
state_path: .asciz "device/tour/0/state"
release_path: .asciz "@releaseDomain"
entry_text: .asciz "8"
three: .asciz "3"
four: .asciz "4"
store_intro_text: .asciz "Read from xenstore, node by node:\r\n"
store_peer_text: .asciz "And what the other domain lets me read of its own:\r\n"
indent_text: .asciz "  "
is_text: .asciz " = \""
quote_text: .asciz "\"\r\n"
grants_text: .asciz "my grant table has frames: "
grants_of_text: .asciz ", and may have "
entry_is_text: .asciz "entry "
frame_text: .asciz " is frame 0x"
for_text: .asciz " for "
unused_text: .asciz ", not in use.\r\n"
reading_text: .asciz ", mapped to read.\r\n"
writing_text: .asciz ", mapped to read and write.\r\n"
ping_text: .asciz "An event to "
ping_took_text: .asciz " and one back took "
ping_end_text: .asciz " us.\r\n"
crash_text: .asciz "I tell "
crash_how_text: .asciz " to execute an undefined instruction; it has no interrupt table.\r\n"
crash_self_text: .asciz "I execute an undefined instruction, and have no interrupt table. Goodbye.\r\n"
nobody_text: .asciz "There is nobody left to crash.\r\n"
gone_text: .asciz "xenstore's @releaseDomain told me: "
gone_port_text: .asciz " is gone. Its nodes are no more,\r\nmy port "
gone_end_text: .asciz " has lost its other end, and my page is not in use. I go on.\r\n"
quit_text: .asciz "I tell "
quit_too_text: .asciz " to power off.\r\n"
quit_done_text: .asciz "It is gone.\r\n"
off_text: .asciz "Powering off.\r\n"
line: .zero 68
back: .zero 256
heap_start: .zero 16384
`;
