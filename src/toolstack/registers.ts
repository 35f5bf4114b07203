/** A vCPU's registers as text, in the order of Xen's own register dumps. */

import type { VcpuContext } from "../engine/engine.ts";

/** Their numbers in the ModR/M encoding. */
const NAMES = ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi"];
const SHOWN = [0, 3, 1, 2, 6, 7, 5, 4, 8, 9, 10, 11, 12, 13, 14, 15];
const A_LINE = 3;

/** Several lines for people. */
export function formatRegisters(vcpu: number, context: VcpuContext): string {
  const { gpr, rip, rflags, segments, cr0, cr2, cr3, cr4, efer } = context;
  const general = SHOWN.map((index) => `${(NAMES[index] ?? `r${index}`).padEnd(3)} ${hex(gpr[index] ?? 0n)}`);
  const lines = [`vCPU ${vcpu}: rip ${selector(segments.cs.selector)}:${hex(rip)}  rflags ${hex(rflags, 8)}`];
  for (let at = 0; at < general.length; at += A_LINE) lines.push(general.slice(at, at + A_LINE).join("  "));
  lines.push(`cr0 ${hex(cr0, 8)}  cr2 ${hex(cr2)}  cr3 ${hex(cr3)}  cr4 ${hex(cr4, 8)}  efer ${hex(efer, 4)}`);
  const names = ["cs", "ss", "ds", "es", "fs", "gs", "tr"] as const;
  lines.push(names.map((name) => `${name} ${selector(segments[name].selector)}`).join("  "));
  lines.push(`fs base ${hex(segments.fs.base)}  gs base ${hex(segments.gs.base)}`);
  return `${lines.map((line) => `  ${line}`).join("\n")}\n`;
}

function hex(value: bigint, digits = 16): string {
  return value.toString(16).padStart(digits, "0");
}

function selector(value: number): string {
  return value.toString(16).padStart(4, "0");
}
