/*
 * native - runs single instructions on the host CPU, for test/differential/native.ts.
 *
 * stdin carries batches (u32 bytes, then requests), stdout answers each with (u32 bytes, then results); the layout of
 * both is described in wire.ts. Every request is one user-mode execution: all 16 general registers, RFLAGS, segment
 * selectors and the FXSAVE image are loaded, IRETQ enters the code (in 64-bit, 32-bit or 16-bit mode, whatever CS
 * says), and it is over when the code falls through to the exit jump placed behind it, or when a signal comes.
 *
 * Freestanding on purpose: no libc means no thread-local storage, so FS and GS belong to the tested code, and
 * -mgeneral-regs-only means that the x87 and SSE state does too. Linked at a fixed address below 2 GiB, so that the
 * trampoline needs no register to find its own memory.
 *
 * Build: gcc -O2 -static -nostdlib -ffreestanding -fno-pie -no-pie -fno-stack-protector -mgeneral-regs-only -mfsgsbase
 *        -fcf-protection=none -Wl,-Ttext-segment=0x70000000
 */
#include <asm/ldt.h>
#include <asm/sigcontext.h>
#include <asm/signal.h>
#include <asm/siginfo.h>
#include <asm/ucontext.h>
#include <asm/unistd.h>

#include "trampoline.h"

/* The addresses of wire.ts. */
enum { WINDOW = 0x10000000, CODE = 0x20000000, CODE_ALIAS = 0x30000000, STACK_HIGH = 0x7000, PAGE = 4096, WINDOW_SIZE = 2 * PAGE };
enum { USER_CODE_64 = 0x33, USER_DATA = 0x2b };
enum { FX_QWORDS = 52 };
enum { MODE_64 = 0, MODE_32 = 1, MODE_16 = 2 };
enum { HAS_FX = 1, HAS_SELECTORS = 2, HAS_BASES = 4 };
enum { REACHED_EXIT = 0xff, HANG = 0xfe };

/* What the signal handler learnt: the vector (or REACHED_EXIT, HANG), its error code, and where. */
static volatile u8 outcome;
static volatile u32 error_code;
static volatile u64 out_rip, fault_address, sequence;
static volatile int running;

static u8 pattern[WINDOW_SIZE], initial[WINDOW_SIZE];
static u8 signal_stack[65536] __attribute__((aligned(64)));
static u8 input[1 << 25], output[1 << 20];
static u32 output_length;

void *memcpy(void *to, const void *from, u64 length)
{
	void *result = to;
	asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(length) : : "memory");
	return result;
}

void *memset(void *to, int value, u64 length)
{
	void *result = to;
	asm volatile("rep stosb" : "+D"(to), "+c"(length) : "a"(value) : "memory");
	return result;
}

static void fail(const char *message)
{
	u64 length = 0;
	while (message[length])
		length++;
	system_call(__NR_write, 2, (long)message, length, 0, 0, 0);
	system_call(__NR_exit_group, 70, 0, 0, 0, 0, 0);
	__builtin_unreachable();
}

static void check(long result, const char *message)
{
	if (result < 0)
		fail(message);
}

/* The order of struct sigcontext_64 to that of the ModR/M encoding. */
static void copy_registers(const struct sigcontext *context)
{
	const u64 in_order[16] = {
		context->rax, context->rcx, context->rdx, context->rbx, context->rsp, context->rbp, context->rsi, context->rdi,
		context->r8, context->r9, context->r10, context->r11, context->r12, context->r13, context->r14, context->r15,
	};
	memcpy(state.out_gpr, in_order, sizeof in_order);
}

/* Ends the execution wherever it is. A timer tick does so only if the same execution was under way a tick ago. */
static void on_signal(int number, siginfo_t *info, void *context_pointer)
{
	static u64 last_tick_sequence;
	struct ucontext *context = context_pointer;
	struct sigcontext *registers = &context->uc_mcontext;
	(void)info;

	if (number == SIGALRM && (!running || sequence != last_tick_sequence)) {
		last_tick_sequence = sequence;
		return;
	}
	if (!running)
		fail("native: a signal outside the tested code\n");
	running = 0;
	outcome = number == SIGALRM ? HANG : registers->trapno;
	error_code = registers->err;
	fault_address = registers->cr2;
	out_rip = registers->rip;
	state.out_rflags = registers->eflags;
	copy_registers(registers);
	memcpy(state.out_fx, (void *)registers->fpstate, 512);
	asm volatile("mov %%es, %0" : "=m"(state.out_selector[0]));
	state.out_selector[1] = registers->cs;
	state.out_selector[2] = registers->ss;
	asm volatile("mov %%ds, %0" : "=m"(state.out_selector[3]));
	asm volatile("mov %%fs, %0" : "=m"(state.out_selector[4]));
	asm volatile("mov %%gs, %0" : "=m"(state.out_selector[5]));
	asm volatile("rdfsbase %0" : "=r"(state.out_base[0]));
	asm volatile("rdgsbase %0" : "=r"(state.out_base[1]));
	resume();
}

static void map(u64 address, u64 length, int protection, int descriptor)
{
	int flags = 0x100010 | (descriptor < 0 ? 0x22 : 0x01); /* FIXED_NOREPLACE, PRIVATE|ANONYMOUS or SHARED */
	check(system_call(__NR_mmap, address, length, protection, flags, descriptor, 0), "native: mmap failed\n");
}

static void set_descriptor(u32 entry, u32 base, u32 limit, int big, int contents, int read_only, int absent)
{
	struct user_desc descriptor = {
		.entry_number = entry, .base_addr = base, .limit = limit > 0xfffff ? limit >> 12 : limit, .seg_32bit = big,
		.contents = contents, .read_exec_only = read_only, .limit_in_pages = limit > 0xfffff,
		.seg_not_present = absent,
	};
	check(system_call(__NR_modify_ldt, 1, (long)&descriptor, sizeof descriptor, 0, 0, 0), "native: modify_ldt failed\n");
}

/* The segments of wire.ts: DESCRIPTORS there must say the same. */
static void set_descriptors(void)
{
	set_descriptor(0, CODE, 0xffff, 0, 2, 0, 0);
	set_descriptor(1, WINDOW - PAGE, 0xffff, 0, 0, 0, 0);
	set_descriptor(2, WINDOW - PAGE, 0xffffffff, 1, 0, 0, 0);
	set_descriptor(3, WINDOW, 0x17ff, 1, 0, 0, 0);
	set_descriptor(4, WINDOW, 0xffffffff, 1, 0, 1, 0);
	set_descriptor(5, WINDOW - PAGE, 0x17ff, 0, 1, 0, 0);
	set_descriptor(6, WINDOW, 0xffff, 1, 0, 0, 1);
	set_descriptor(7, CODE, 0xffff, 1, 2, 1, 0);
}

static void set_up(void)
{
	static const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGALRM };
	stack_t stack = { .ss_sp = signal_stack, .ss_size = sizeof signal_stack };
	long descriptor = system_call(__NR_memfd_create, (long)"code", 0, 0, 0, 0, 0);
	u32 i;

	check(descriptor, "native: memfd_create failed\n");
	check(system_call(__NR_ftruncate, descriptor, PAGE, 0, 0, 0, 0), "native: ftruncate failed\n");
	map(CODE, PAGE, 5, descriptor);
	map(CODE_ALIAS, PAGE, 3, descriptor);
	map(WINDOW, WINDOW_SIZE, 3, -1);
	memset((void *)CODE_ALIAS, 0xcc, PAGE);
	for (i = 0; i < WINDOW_SIZE; i++)
		pattern[i] = i * 167 + (i >> 8) * 13 + 29;
	memcpy(initial, pattern, WINDOW_SIZE);
	memcpy((void *)WINDOW, pattern, WINDOW_SIZE);
	set_descriptors();

	check(system_call(__NR_sigaltstack, (long)&stack, 0, 0, 0, 0, 0), "native: sigaltstack failed\n");
	for (i = 0; i < sizeof signals / sizeof *signals; i++) {
		struct sigaction action = {
			.sa_handler = (__sighandler_t)(void *)on_signal,
			.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTART | 0x04000000 /* SA_RESTORER */,
			.sa_restorer = restore_signal,
		};
		check(system_call(__NR_rt_sigaction, signals[i], (long)&action, 0, 8, 0, 0), "native: rt_sigaction failed\n");
	}
	u64 tick[4] = { 0, 200000, 0, 200000 };
	check(system_call(__NR_setitimer, 0, (long)tick, 0, 0, 0, 0), "native: setitimer failed\n");
}

static u64 take(const u8 **at, u32 size)
{
	u64 value = 0;
	u32 i;
	for (i = 0; i < size; i++)
		value |= (u64)(*at)[i] << (8 * i);
	*at += size;
	return value;
}

static void put(u64 value, u32 size)
{
	while (size--) {
		output[output_length++] = value;
		value >>= 8;
	}
}

/* The jump back to leave_64, placed behind the code. */
static u32 append_exit(u8 *to, int mode)
{
	static const u8 absolute_indirect[] = { 0xff, 0x24, 0x25 };
	u32 length = 0, target;
	u16 selector = USER_CODE_64;

	if (mode == MODE_64) {
		memcpy(to, absolute_indirect, 3);
		target = (u32)(u64)&state.exit_pointer;
		memcpy(to + 3, &target, 4);
		return 7;
	}
	if (mode == MODE_16)
		to[length++] = 0x66;
	to[length++] = 0xea;
	target = (u32)(u64)leave_64;
	memcpy(to + length, &target, 4);
	memcpy(to + length + 4, &selector, 2);
	return length + 6;
}

static void protect(u32 permissions)
{
	u32 page;
	for (page = 0; page < 2; page++) {
		static const int protection[4] = { 0, 1, 3, 3 };
		u32 wanted = permissions >> (2 * page) & 3;
		system_call(__NR_mprotect, WINDOW + page * PAGE, PAGE, protection[wanted], 0, 0, 0);
	}
}

/* Reports what the execution changed in the window, and puts the pattern back. */
static void put_window_changes(void)
{
	const u64 *before = (const u64 *)initial, *after = (const u64 *)WINDOW;
	u32 at_count = output_length, count = 0, i, from;

	put(0, 2);
	for (i = 0; i < WINDOW_SIZE / 8; i++) {
		if (before[i] == after[i])
			continue;
		for (from = i; i < WINDOW_SIZE / 8 && before[i] != after[i]; i++)
			;
		put(from * 8, 2);
		put((i - from) * 8, 2);
		memcpy(output + output_length, after + from, (i - from) * 8);
		output_length += (i - from) * 8;
		memcpy((void *)(after + from), pattern + from * 8, (i - from) * 8);
		count++;
	}
	memcpy(output + at_count, &count, 2);
}

static void put_fx_changes(void)
{
	u64 mask = 0;
	const u64 *before = (const u64 *)state.in_fx, *after = (const u64 *)state.out_fx;
	u32 i;

	((u32 *)state.out_fx)[7] = 0; /* MXCSR_MASK */
	for (i = 0; i < FX_QWORDS; i++)
		if (before[i] != after[i])
			mask |= 1ul << i;
	put(mask, 8);
	for (i = 0; i < FX_QWORDS; i++)
		if (mask >> i & 1)
			put(after[i], 8);
}

static void put_result(u64 start)
{
	u32 i, at_mask, mask = 0;

	put(0, 2);
	put(outcome, 1);
	put(0, 1);
	put(error_code, 4);
	put(out_rip, 8);
	put(fault_address, 8);
	put(state.out_rflags, 4);
	at_mask = output_length;
	put(0, 2);
	for (i = 0; i < 16; i++)
		if (state.in_gpr[i] != state.out_gpr[i]) {
			mask |= 1 << i;
			put(state.out_gpr[i], 8);
		}
	memcpy(output + at_mask, &mask, 2);
	put_fx_changes();
	for (i = 0; i < 6; i++)
		put(state.out_selector[i], 2);
	put(state.out_base[0], 8);
	put(state.out_base[1], 8);
	put_window_changes();
	i = output_length - start;
	memcpy(output + start, &i, 2);
}

static void apply_patches(const u8 *at, int undo)
{
	u32 count = take(&at, 1);
	while (count--) {
		u32 offset = take(&at, 2), length = take(&at, 1);
		const u8 *from = undo ? pattern + offset : at;
		memcpy((void *)(u64)(WINDOW + offset), from, length);
		memcpy(initial + offset, from, length);
		at += length;
	}
}

static void execute(const u8 *at)
{
	static const u64 default_selectors = USER_DATA * 0x0000000000010001ul;
	u32 i, code_length = take(&at, 1), mode = take(&at, 1), code_offset = take(&at, 2), permissions = take(&at, 1);
	u32 contents = take(&at, 1), flags = take(&at, 4), mask = take(&at, 2), exit_length = 0;
	u64 start = output_length, fx_mask;
	u8 *code = (u8 *)(u64)(CODE_ALIAS + code_offset);

	for (i = 0; i < 16; i++)
		state.in_gpr[i] = mask >> i & 1 ? take(&at, 8) : 0x0101010101010101ul * (0xa0 + i);
	memcpy(code, at, code_length);
	at += code_length;
	if (code_offset + code_length + 8 <= PAGE)
		exit_length = append_exit(code + code_length, mode);
	memset(state.in_fx, 0, sizeof state.in_fx);
	((u16 *)state.in_fx)[0] = 0x37f;
	((u32 *)state.in_fx)[6] = 0x1f80;
	if (contents & HAS_FX)
		for (fx_mask = take(&at, 8), i = 0; i < FX_QWORDS; i++)
			if (fx_mask >> i & 1)
				((u64 *)state.in_fx)[i] = take(&at, 8);
	state.frame[1] = USER_CODE_64;
	state.frame[4] = USER_DATA;
	memcpy(state.in_selector, &default_selectors, 8);
	if (contents & HAS_SELECTORS) { /* cs, ss, ds, es, fs, gs */
		state.frame[1] = take(&at, 2);
		state.frame[4] = take(&at, 2);
		for (i = 0; i < 4; i++)
			state.in_selector[i] = take(&at, 2);
	}
	state.set_bases = contents & HAS_BASES;
	if (contents & HAS_BASES) {
		state.in_base[0] = take(&at, 8);
		state.in_base[1] = take(&at, 8);
	}
	apply_patches(at, 0);
	state.frame[0] = code_offset + (mode == MODE_16 ? 0 : CODE);
	state.frame[2] = flags;
	state.frame[3] = state.in_gpr[4];

	if (permissions != 10)
		protect(permissions);
	outcome = REACHED_EXIT;
	error_code = 0;
	fault_address = 0;
	out_rip = state.frame[0] + code_length;
	state.out_selector[1] = state.frame[1];
	sequence++;
	running = 1;
	enter();
	running = 0;
	if (permissions != 10)
		protect(10);

	put_result(start);
	apply_patches(at, 1);
	memset(code, 0xcc, code_length + exit_length);
}

static void flush(void)
{
	u32 done = 0;
	while (done < output_length) {
		long written = system_call(__NR_write, 1, (long)(output + done), output_length - done, 0, 0, 0);
		check(written, "native: write failed\n");
		done += written;
	}
	output_length = 0;
}

static int read_all(u8 *to, u64 length)
{
	u64 done = 0;
	while (done < length) {
		long got = system_call(__NR_read, 0, (long)(to + done), length - done, 0, 0, 0);
		check(got, "native: read failed\n");
		if (got == 0)
			return 0;
		done += got;
	}
	return 1;
}

void program(void)
{
	u32 length, at;

	set_up();
	if ((u64)&state.frame >> 16 != STACK_HIGH)
		fail("native: the trampoline's memory is not where wire.ts says\n");
	state.exit_pointer = (u64)leave_64;
	while (read_all((u8 *)&length, 4)) {
		if (length > sizeof input || !read_all(input, length))
			fail("native: a truncated batch\n");
		for (at = 0; at < length; at += *(u16 *)(input + at)) {
			execute(input + at + 2);
			if (output_length > sizeof output - 3 * WINDOW_SIZE)
				flush();
		}
		flush();
	}
	system_call(__NR_exit_group, 0, 0, 0, 0, 0, 0);
}
