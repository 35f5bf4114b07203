/**
 * The kernel of the conformance guests, in a 32-bit and a 64-bit version. It does what the test tells it through a
 * mailbox: makes a hypercall, looks at memory, takes interrupts; and then suspends itself, for the test to look. What the
 * hypervisor sees is a guest like any other: real code, page tables, an interrupt table.
 */
import { theOpcodeMap } from "../../src/engine/wasm-engine.ts";
import { assemble } from "../../src/x86/assemble/assemble.ts";
import { SCHEDOP, SHUTDOWN } from "../../src/abi/sched.ts";
import { HYPERVISOR } from "../../src/abi/xen.ts";
import { pvhElf } from "../../src/toolstack/hello/elf.ts";
import { interruptTable, pageTables, taskState } from "./tables.ts";
import { Mailbox, Memory, Window } from "./layout.ts";

/** The width of the guest's code. */
export type Bits = 32 | 64;

/** Selectors of the guest's descriptor table. */
export const Selector = { code: 0x08, data: 0x10, userCode: 0x1b, userData: 0x23, task: 0x28 } as const;

/** Vectors that push an error code. Intel SDM Vol. 3A, "Exception and Interrupt Reference". */
const withErrorCode: ReadonlySet<number> = new Set([8, 10, 11, 12, 13, 14, 17]);

/** Vectors that the kernel and its user mode use: the way back, which user mode may raise itself. */
export const USER_RETURN = 0x80;

/** A script's calls: number and five arguments of 8 bytes each, the result, each this many bytes behind the other. */
export const SCRIPT_RESULT = 48;
export const SCRIPT_STRIDE = 64;

/** Register names by width: those that carry a hypercall, and scratch ones. */
function registers(bits: Bits) {
  return bits === 64
    ? { a: "rax", c: "rcx", bp: "rbp", sp: "rsp", args: ["rdi", "rsi", "rdx", "r10", "r8"], iret: "iret", word: 8 }
    : { a: "eax", c: "ecx", bp: "ebp", sp: "esp", args: ["ebx", "ecx", "edx", "esi", "edi"], iret: "iret", word: 4 };
}

const mail = (name: keyof typeof Mailbox, offset = 0): string => `[${Memory.mailbox + Mailbox[name] + offset}]`;

/** From the PVH entry point, 32-bit code without paging, to the kernel's mode with paging on. */
function entrySource(bits: Bits): string {
  const long = bits === 64;
  return `
.bits 32
start:
  cld
  mov ${mail("startInfo")}, ebx
  mov eax, cr4
  or eax, ${long ? 0x20 : 0x10}
  mov cr4, eax
  mov eax, ${Memory.pageTables}
  mov cr3, eax
${long ? "  mov ecx, 0xc0000080\n  rdmsr\n  or eax, 0x100\n  wrmsr" : ""}
  mov eax, cr0
  or eax, 0x80010000
  mov cr0, eax
  lgdt [gdt_pointer]
  mov esp, ${Memory.stack}
  push ${Selector.code}
  push entered
  retf
.bits ${bits}
entered:
  mov eax, ${Selector.userData}
  mov ds, ax
  mov es, ax
  mov eax, ${Selector.data}
  mov ss, ax
  mov ${registers(bits).sp}, ${Memory.stack}
  lidt [idt_pointer]
  mov eax, ${Selector.task}
  ltr ax
  mov dword ${mail("suspend")}, ${SHUTDOWN.suspend}
`;
}

/** Gives the test its turn, then does what it wants, for ever. */
function loopSource(bits: Bits): string {
  const { a, args } = registers(bits);
  return `
idle:
  mov dword ${mail("waiting")}, 1
  mov eax, ${HYPERVISOR.sched_op}
  mov ${args[0]}, ${SCHEDOP.shutdown}
  mov ${args[1]}, ${Memory.mailbox + Mailbox.suspend}
  vmcall
  mov dword ${mail("waiting")}, 0
  mov ${a}, ${mail("routine")}
  call ${a}
  jmp idle
`;
}

/** Loads a hypercall's number and arguments from the mailbox. */
function loadArguments(bits: Bits): string {
  const { a, args } = registers(bits);
  return [
    ...args.map((register, i) => `  mov ${register}, ${mail("arguments", i * 8)}`),
    `  mov ${a}, ${mail("number")}`,
  ].join("\n");
}

function routinesSource(bits: Bits): string {
  const { a, args, bp, c, sp, word } = registers(bits);
  const load = loadArguments(bits);
  const store = `  mov ${mail("result")}, ${a}`;
  return `
hypercall:
${load}
  vmcall
${store}
  ret
hypercall_amd:
${load}
  vmmcall
${store}
  ret
hypercall_page:
${load}
  call ${mail("address")}
${store}
  ret
hypercall_user:
  mov ${mail("kernelStack")}, ${sp}
  push ${Selector.userData}
  push ${Memory.userStack}
  push 2
  push ${Selector.userCode}
  push user_code
  ${registers(bits).iret}
user_code:
${load}
  vmcall
  int ${USER_RETURN}
user_return:
  mov ${sp}, ${mail("kernelStack")}
${store}
  ret
load:
  mov ${c}, ${mail("address")}
  mov eax, [${c}]
${store}
  ret
store:
  mov ${c}, ${mail("address")}
  mov eax, ${mail("value")}
  mov [${c}], eax
  ret
halt:
  sti
  hlt
  cli
  ret
open:
  sti
  cld
  cli
  ret
halt_for_ever:
  cli
  hlt
  jmp halt_for_ever
spin:
  mov ecx, ${mail("value")}
spin_on:
  dec ecx
  jnz spin_on
  ret
clock:
  rdtsc
  mov ${mail("result")}, eax
  mov ${mail("result", 4)}, edx
  ret
port_out:
  mov edx, ${mail("address")}
  mov eax, ${mail("value")}
  out dx, al
  ret
write_msr:
  mov ecx, ${mail("address")}
  mov eax, ${mail("value")}
  mov edx, ${mail("value", 4)}
  wrmsr
  ret
script:
  sti
script_closed:
  mov ebp, ${Memory.script}
script_next:
${args.map((register, i) => `  mov ${register}, [${bp} + ${8 + i * 8}]`).join("\n")}
  mov ${a}, [${bp}]
  vmcall
  mov [${bp} + ${SCRIPT_RESULT}], ${a}
  add ebp, ${SCRIPT_STRIDE}
  dec dword ${mail("value")}
  jnz script_next
  cli
  ret

interrupt:
  push ${a}
  push ${c}
  mov ${a}, [${sp} + ${2 * word}]
  inc dword [${a} * 4 + ${Memory.counts}]
  cmp ${a}, ${USER_RETURN}
  jz user_return_label
  cmp ${a}, 32
  jae interrupt_external
  cmp ${a}, 2
  jz interrupt_done
  inc ${a}
  mov ${mail("faultVector")}, ${a}
  mov ${c}, [${sp} + ${3 * word}]
  mov ${mail("faultCode")}, ${c}
  mov ${c}, [${sp} + ${4 * word}]
  mov ${mail("faultAddress")}, ${c}
  mov ${c}, cr2
  mov ${mail("faultCr2")}, ${c}
  jmp idle
interrupt_external:
  mov ${c}, ${mail("upcallFlag")}
  test ${c}, ${c}
  jz interrupt_no_flag
  mov byte [${c}], 0
interrupt_no_flag:
  cmp dword ${mail("endOfInterrupt")}, 0
  jz interrupt_done
  mov ${c}, ${Memory.lapic}
  mov dword [${c} + 0xb0], 0
interrupt_done:
  pop ${c}
  pop ${a}
  add ${sp}, ${2 * word}
  ${registers(bits).iret}
user_return_label:
  mov ${a}, [${sp} + ${word}]
  jmp user_return
`;
}

/** One entry of 16 bytes for each vector: pushes an error code where the processor has not, and the vector. */
function vectorsSource(): string {
  const entries = Array.from({ length: 256 }, (_, vector) => {
    const code = withErrorCode.has(vector) ? "" : "  push 0\n";
    return `.align 16\nvector_${vector}:\n${code}  push ${vector}\n  jmp interrupt`;
  });
  return entries.join("\n");
}

/** A descriptor with base 0 and limit 4 GiB. Intel SDM Vol. 3A, "Segment Descriptors". */
function flat(access: number, flags: number): string {
  return `.quad ${(0xffffn | (BigInt(access) << 40n) | (BigInt(0xf | (flags << 4)) << 48n)).toString()}`;
}

function descriptorsSource(bits: Bits): string {
  const code = bits === 64 ? 0xa : 0xc;
  const task = 0x67n | (BigInt(Memory.tss & 0xffffff) << 16n) | (0x89n << 40n);
  return `
.align 16
gdt:
.quad 0
${flat(0x9b, code)}
${flat(0x93, 0xc)}
${flat(0xfb, code)}
${flat(0xf3, 0xc)}
.quad ${task.toString()}
.quad 0
gdt_pointer:
.word ${7 * 8 - 1}
.quad gdt
idt_pointer:
.word ${256 * (bits === 64 ? 16 : 8) - 1}
.quad ${Memory.idt}
`;
}

/** A kernel file, and where its routines are. */
export interface Kernel {
  readonly file: Uint8Array;
  readonly labels: ReadonlyMap<string, bigint>;
}

const built = new Map<string, Kernel>();

/**
 * The kernel, with a test's own routines behind it. Routines are entered by a call, end with RET, and may change every
 * register but the stack pointer.
 */
export function conformanceKernel(bits: Bits, routines = ""): Kernel {
  const key = `${bits} ${routines}`;
  const known = built.get(key);
  if (known !== undefined) return known;
  const source = [
    entrySource(bits),
    loopSource(bits),
    routinesSource(bits),
    routines,
    vectorsSource(),
    descriptorsSource(bits),
  ].join("\n");
  const { bytes, labels } = assemble(theOpcodeMap(), source, BigInt(Memory.image));
  const image = new Uint8Array(Memory.imageEnd - Memory.image);
  if (Memory.image + bytes.length > Memory.pageTables) throw new Error(`${bytes.length} bytes of code do not fit`);
  image.set(bytes);
  image.set(pageTables(bits), Memory.pageTables - Memory.image);
  const vector = (number: number): number => Number(labels.get(`vector_${number}`));
  image.set(interruptTable(bits, vector, Selector.code, USER_RETURN), Memory.idt - Memory.image);
  image.set(taskState(bits, Memory.stack - 0x4000, Selector.data), Memory.tss - Memory.image);
  const kernel = { file: pvhElf(image, Memory.image, Number(labels.get("start"))), labels };
  built.set(key, kernel);
  return kernel;
}

/** Source that makes a hypercall with constant arguments, for tests' own routines. The result is in rAX. */
export function hypercallSource(bits: Bits, number: number, ...args: readonly (number | string)[]): string {
  const names = registers(bits).args;
  return [
    ...args.map((argument, i) => `  mov ${names[i] ?? ""}, ${argument}`),
    `  mov eax, ${number}`,
    "  vmcall",
  ].join("\n");
}

/** The guest-physical address of the page table entry of a page of {@link Window}. */
export function windowEntry(bits: Bits, linear: number): number {
  const table = Memory.pageTables + (bits === 64 ? 5 : 1) * 4096;
  return table + ((linear - Window.base) / 4096) * (bits === 64 ? 8 : 4);
}
