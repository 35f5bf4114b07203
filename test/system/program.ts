import { Layout, Selector, createMachine } from "../engine-harness.ts";
import type { Machine, MachineMode } from "../engine-harness.ts";
import type { Platform, VcpuContext } from "../../src/engine/engine.ts";

/** Machine code with its source beside it: lines of `hexadecimal digits | assembler source`. */
export interface Program {
  readonly bytes: Uint8Array;
  /** Offsets of the source's labels. */
  readonly labels: Readonly<Record<string, number>>;
}

export function program(listing: string): Program {
  const bytes: number[] = [];
  const labels: Record<string, number> = {};
  for (const line of listing.split("\n")) {
    const [digits = "", source = ""] = line.split("|");
    const label = /^\s*(\w+):/.exec(source)?.[1];
    if (label !== undefined) labels[label] = bytes.length;
    for (const pair of digits.trim().match(/../g) ?? []) bytes.push(Number.parseInt(pair, 16));
  }
  return { bytes: Uint8Array.from(bytes), labels };
}

/** The linear address of a label of a program that was loaded by {@link start}. */
export function at({ labels }: Program, label: string): number {
  const offset = labels[label];
  if (offset === undefined) throw new Error(`the program has no label ${label}`);
  return Layout.free + offset;
}

/** Top of the stack that programs begin with: apart from the one that exceptions arrive on. */
export const stackTop = 0x8000;

export interface Start {
  readonly cpl?: 0 | 3;
  readonly platform?: Partial<Platform>;
  /** Changes state or memory before the program begins. */
  readonly prepare?: (context: VcpuContext, machine: Machine) => void;
}

/** A machine about to execute a program at `Layout.free`; ring 3 reaches the program and its stack. */
export function start(mode: MachineMode, { bytes }: Program, { cpl = 0, platform = {}, prepare }: Start = {}): Machine {
  const machine = createMachine(mode, cpl, platform);
  if (mode === "long" || mode === "compatibility") {
    const user = cpl === 3 ? 7n : 3n;
    for (let page = 0; page < 4; page++)
      machine.map(BigInt(Layout.free + page * 4096), Layout.free + page * 4096, user);
    machine.map(BigInt(stackTop - 4096), stackTop - 4096, user);
  }
  machine.load(mode === "real" ? realBase : Layout.free, bytes);
  const context = machine.context();
  context.rip = BigInt(mode === "real" ? realBase : Layout.free);
  context.gpr[4] = BigInt(stackTop);
  prepare?.(context, machine);
  machine.vcpu.setContext(context);
  return machine;
}

/** Where a real-mode program begins: segment 0, this offset. */
export const realBase = 0x7000;

/** A descriptor's eight bytes. `flags` are AVL, L, D/B and G. */
export function descriptor(base: number, limit: number, access: number, flags: number): bigint {
  const word = (value: number, bits: number, to: number) => (BigInt(value) & ((1n << BigInt(bits)) - 1n)) << BigInt(to);
  return (
    word(limit, 16, 0) |
    word(base, 24, 16) |
    word(access, 8, 40) |
    word(limit >> 16, 4, 48) |
    word(flags, 4, 52) |
    word(base >>> 24, 8, 56)
  );
}

/** Writes a 16-byte gate. `type` is its fifth byte: P, DPL, type. */
export function gate(ram: DataView, where: number, selector: number, offset: number, type: number, ist = 0): void {
  ram.setBigUint64(
    where,
    BigInt(offset & 0xffff) |
      (BigInt(selector) << 16n) |
      (BigInt(ist) << 32n) |
      (BigInt(type) << 40n) |
      (BigInt(offset >>> 16) << 48n),
    true,
  );
  ram.setBigUint64(where + 8, 0n, true);
}

/** Writes an 8-byte gate. `access` is P, DPL and type; `count` a call gate's parameters. */
export function gate32(
  ram: DataView,
  where: number,
  selector: number,
  offset: number,
  access: number,
  count = 0,
): void {
  ram.setBigUint64(
    where,
    BigInt(offset & 0xffff) |
      (BigInt(selector) << 16n) |
      (BigInt(count) << 32n) |
      (BigInt(access) << 40n) |
      (BigInt(offset >>> 16) << 48n),
    true,
  );
}

/** Where tests put TSSs of their own. */
export const handlerTask = 0x10000;
export const otherTask = 0x11000;
/** A 32-bit TSS of a ring-0 task. */
export function taskSegment(ram: DataView, where: number, eip: number, esp: number, flags = 2): void {
  for (let offset = 0; offset < 0x68; offset += 4) ram.setUint32(where + offset, 0, true);
  ram.setUint32(where + 4, Layout.stackTop, true);
  ram.setUint32(where + 8, Selector.data, true);
  ram.setUint32(where + 0x20, eip, true);
  ram.setUint32(where + 0x24, flags, true);
  ram.setUint32(where + 0x38, esp, true);
  for (const [index, selector] of [Selector.data, Selector.code32, Selector.data, Selector.data, 0, 0].entries())
    ram.setUint32(where + 0x48 + index * 4, selector, true);
}
