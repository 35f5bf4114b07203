/*
 * How native.c gets into the tested code and out of it again: the state that both sides see, and the assembly, which
 * finds it by absolute address because every general register belongs to the tested code.
 */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;

/* Everything the trampoline touches; its offsets are written out in the assembly below. */
struct state {
	u8 in_fx[512];
	u8 out_fx[512];
	u64 in_gpr[16];
	u64 out_gpr[16];
	u64 frame[5];         /* IRETQ: rip, cs, rflags, rsp, ss */
	u64 host_rsp;
	u64 out_rflags;
	u64 exit_pointer;
	u64 in_base[2];       /* fs, gs */
	u64 out_base[2];
	u16 in_selector[4];   /* ds, es, fs, gs */
	u16 out_selector[6];  /* es, cs, ss, ds, fs, gs: the order of the ModR/M encoding */
	u32 set_bases;
} state __attribute__((aligned(64)));

void enter(void);
void leave_64(void);
void resume(void) __attribute__((noreturn));
void restore_signal(void);
long system_call(long number, long a, long b, long c, long d, long e, long f);

asm(".intel_syntax noprefix\n"
    ".text\n"
    ".globl enter, leave_64, resume, restore_signal, system_call, _start\n"
    "_start: and rsp, -16\n call program\n"
    "system_call:\n"
    "  mov rax, rdi\n mov rdi, rsi\n mov rsi, rdx\n mov rdx, rcx\n mov r10, r8\n mov r8, r9\n mov r9, [rsp+8]\n"
    "  syscall\n ret\n"
    "restore_signal: mov eax, 15\n syscall\n"
    "enter:\n"
    "  push rbx\n push rbp\n push r12\n push r13\n push r14\n push r15\n"
    "  mov [state+1320], rsp\n"
    "  fxrstor64 [state]\n"
    "  mov ds, [state+1376]\n mov es, [state+1378]\n mov fs, [state+1380]\n mov gs, [state+1382]\n"
    "  cmp dword ptr [state+1396], 0\n"
    "  je 1f\n"
    "  mov rax, [state+1344]\n wrfsbase rax\n mov rax, [state+1352]\n wrgsbase rax\n"
    "1:\n"
    "  mov rax, [state+1024]\n mov rcx, [state+1032]\n mov rdx, [state+1040]\n mov rbx, [state+1048]\n"
    "  mov rbp, [state+1064]\n mov rsi, [state+1072]\n mov rdi, [state+1080]\n"
    "  mov r8, [state+1088]\n mov r9, [state+1096]\n mov r10, [state+1104]\n mov r11, [state+1112]\n"
    "  mov r12, [state+1120]\n mov r13, [state+1128]\n mov r14, [state+1136]\n mov r15, [state+1144]\n"
    "  mov esp, offset state+1280\n"
    "  iretq\n"
    "leave_64:\n"
    "  mov [state+1152], rax\n mov [state+1160], rcx\n mov [state+1168], rdx\n mov [state+1176], rbx\n"
    "  mov [state+1184], rsp\n mov [state+1192], rbp\n mov [state+1200], rsi\n mov [state+1208], rdi\n"
    "  mov [state+1216], r8\n mov [state+1224], r9\n mov [state+1232], r10\n mov [state+1240], r11\n"
    "  mov [state+1248], r12\n mov [state+1256], r13\n mov [state+1264], r14\n mov [state+1272], r15\n"
    "  mov rsp, [state+1320]\n"
    "  pushfq\n pop [state+1328]\n"
    "  mov [state+1384], es\n mov [state+1388], ss\n mov [state+1390], ds\n"
    "  mov [state+1392], fs\n mov [state+1394], gs\n"
    "  push 2\n popfq\n"
    "  fxsave64 [state+512]\n"
    "  rdfsbase rax\n mov [state+1360], rax\n rdgsbase rax\n mov [state+1368], rax\n"
    "resume:\n"
    "  mov eax, 0x2b\n mov ss, eax\n"
    "  mov rsp, [state+1320]\n"
    "  push 2\n popfq\n"
    "  pop r15\n pop r14\n pop r13\n pop r12\n pop rbp\n pop rbx\n ret\n"
    ".att_syntax\n");

_Static_assert(__builtin_offsetof(struct state, in_gpr) == 1024, "enter");
_Static_assert(__builtin_offsetof(struct state, out_gpr) == 1152, "leave_64");
_Static_assert(__builtin_offsetof(struct state, frame) == 1280, "enter");
_Static_assert(__builtin_offsetof(struct state, host_rsp) == 1320, "enter");
_Static_assert(__builtin_offsetof(struct state, out_rflags) == 1328, "leave_64");
_Static_assert(__builtin_offsetof(struct state, in_base) == 1344, "enter");
_Static_assert(__builtin_offsetof(struct state, out_base) == 1360, "leave_64");
_Static_assert(__builtin_offsetof(struct state, in_selector) == 1376, "enter");
_Static_assert(__builtin_offsetof(struct state, out_selector) == 1384, "leave_64");
_Static_assert(__builtin_offsetof(struct state, set_bases) == 1396, "enter");
