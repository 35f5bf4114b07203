/** Compares what QEMU's processor halted with to what ours did. */

import type { SegmentState, VcpuContext } from "../../src/engine/engine.ts";
import type { Verdict } from "./qemu.ts";
import type { Run } from "./record.ts";

const PAGE = 4096;
const NAMES = ["AX", "CX", "DX", "BX", "SP", "BP", "SI", "DI"] as const;
const CR0_PE = 1n;
const EFLAGS_VM = 0x20000n;
const EFER_LMA = 0x400n;

/** What the monitor's firmware shows when a triple fault has reset the machine. */
const RESET = /^EIP=ffff/m;

/** @returns what differs, as `name: QEMU's, ours`. */
export function differences(run: Run, verdict: Verdict): string[] {
  const reset = RESET.test(verdict.registers);
  if (reset || run.tripleFault) return reset === run.tripleFault ? [] : [`triple fault: ${reset}, ${run.tripleFault}`];
  if (!verdict.registers.includes("HLT=1")) return ["it does not halt"];
  const theirs = registersOf(verdict.registers);
  const found: string[] = [];
  for (const [name, value] of expected(run.after)) {
    const other = theirs.get(name);
    if (other !== value) found.push(`${name}: ${other?.toString(16)}, ${value.toString(16)}`);
  }
  for (const page of new Set([...run.ram.keys(), ...run.changed.keys(), ...verdict.ram.keys()])) {
    const [ours, others] = [run.changed.get(page) ?? run.ram.get(page), verdict.ram.get(page)];
    for (let at = 0; at < PAGE; at++) {
      const [our, other] = [ours?.[at] ?? 0, others?.[at] ?? 0];
      if (our !== other && !isResume(run.after, page * PAGE + at, our, other))
        found.push(`[${(page * PAGE + at).toString(16)}]: ${other.toString(16)}, ${our.toString(16)}`);
    }
  }
  return found;
}

/**
 * Whether a byte differs by the RF that a fault pushes, which QEMU never sets. SDM Vol. 3B, "Instruction-Breakpoint Exception
 * Condition": RF is set in the flags that a fault, but not a trap, pushes.
 */
function isResume({ gpr, efer, segments }: VcpuContext, address: number, our: number, other: number): boolean {
  const slot = (efer & EFER_LMA) === 0n ? 4 : 8;
  const frame = Number((gpr[4] ?? 0n) + segments.ss.base);
  // Two slots lie before the flags, three where there is an error code; RF is in their third byte.
  return our === (other | 1) && (address === frame + 2 * slot + 2 || address === frame + 3 * slot + 2);
}

/** Reads `info registers`: pairs of a name and hexadecimal digits, and lines for segments and tables. */
function registersOf(text: string): Map<string, bigint> {
  const found = new Map<string, bigint>();
  const put = (name: string, digits: string | undefined): void => {
    found.set(name, BigInt(`0x${digits ?? "0"}`));
  };
  for (const [, name = "", digits] of text.matchAll(/\b(\w+) *=([0-9a-f]+)\b/g))
    put(name.replace(/^[RE](?=[A-Z]{2}$)/, ""), digits);
  for (const [, name = "", selector, base, limit, flags] of text.matchAll(
    /^(\w\w) ?=([0-9a-f]{4}) ([0-9a-f]+) ([0-9a-f]+) ([0-9a-f]+)/gm,
  )) {
    for (const [part, digits] of [
      ["", selector],
      [".base", base],
      [".limit", limit],
      [".flags", flags],
    ] as const)
      put(name + part, digits);
  }
  for (const [, name = "", base, limit] of text.matchAll(/^(\wDT)= +([0-9a-f]+) ([0-9a-f]+)$/gm)) {
    put(`${name}.base`, base);
    put(`${name}.limit`, limit);
  }
  for (const part of ["ES", "CS", "SS", "DS", "FS", "GS", "TR"]) {
    // Bits 8 to 15 and 20 to 23 of a descriptor's upper half; QEMU's TR is never busy.
    const flags = found.get(`${part}.flags`) ?? 0n;
    found.set(`${part}.flags`, ((flags >> 8n) & 0xf0ffn) | (part === "TR" ? 2n : 0n));
  }
  return found;
}

/** The registers by the names that QEMU has for them. */
function* expected(after: VcpuContext): Generator<readonly [name: string, value: bigint]> {
  const code64 = (after.efer & EFER_LMA) !== 0n && (after.segments.cs.attributes & 0x200) !== 0;
  for (const [index, value] of after.gpr.entries()) {
    // Outside of 64-bit mode QEMU shows the lower halves of eight.
    if (index >= 8 && !code64) break;
    yield [NAMES[index] ?? `R${index}`, code64 ? value : BigInt.asUintN(32, value)];
  }
  yield ["IP", after.rip];
  yield ["FL", after.rflags];
  const real = (after.cr0 & CR0_PE) === 0n || (after.rflags & EFLAGS_VM) !== 0n;
  for (const name of ["es", "cs", "ss", "ds", "fs", "gs", "tr"] as const) {
    const { selector, ...hidden } = after.segments[name];
    const part = name.toUpperCase();
    yield [part, BigInt(selector)];
    // A null selector's segment, and most of what segments hold in 64-bit mode, has no meaning.
    if ((selector & ~3) === 0 && !real) continue;
    yield* hiddenParts(part, hidden, code64 && name !== "tr");
  }
  yield ["GDT.base", after.gdtr.base];
  yield ["GDT.limit", BigInt(after.gdtr.limit)];
  yield ["IDT.base", after.idtr.base];
  yield ["IDT.limit", BigInt(after.idtr.limit)];
  for (const name of ["cr0", "cr2", "cr3", "cr4", "efer"] as const) yield [name.toUpperCase(), after[name]];
  for (const index of [0, 1, 2, 3, 6, 7]) yield [`DR${index}`, after.dr[index] ?? 0n];
}

function* hiddenParts(
  part: string,
  { base, limit, attributes }: Omit<SegmentState, "selector">,
  code64: boolean,
): Generator<readonly [name: string, value: bigint]> {
  if (!code64 || part === "FS" || part === "GS") yield [`${part}.base`, base];
  if (!code64) yield [`${part}.limit`, BigInt(limit)];
  yield [`${part}.flags`, BigInt((attributes & 0xff) | ((attributes & 0xf00) << 4))];
}
