/** Random instruction streams: opcodes from the table with random operands, and bytes that are just random. */
import { theOpcodeMap } from "../../src/engine/wasm-engine.ts";
import type { Encoding } from "../../src/x86/encoding.ts";
import type { MachineMode } from "../engine-harness.ts";
import type { Random } from "./random.ts";

const prefixes = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3] as const;
const mandatory = { NP: [], "66": [0x66], F2: [0xf2], F3: [0xf3] } as const;
const escapes = [[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]] as const;
const pp = { NP: 0, "66": 1, F3: 2, F2: 3 } as const;

/** One instruction of a row; what follows the opcode and ModR/M is random and may be the next instruction's. */
function instruction(random: Random, encoding: Encoding, mode: MachineMode): number[] {
  const { digit, hasModrm, map, modrm, opcode, prefix, span, vex } = encoding;
  const bytes: number[] = [];
  while (random.once(4)) bytes.push(random.of(prefixes));
  const last = opcode + random.below(span);
  if (vex) {
    const wide = random.once(2) ? 0x80 : 0;
    bytes.push(0xc4, (random.word() & 0xe0) | map, wide | (random.word() & 0x78) | pp[prefix ?? "NP"], last);
  } else {
    bytes.push(...(prefix === undefined ? [] : mandatory[prefix]));
    if (mode === "long" && random.once(2)) bytes.push(0x40 | random.below(16));
    bytes.push(...escapes[map], last);
  }
  if (modrm !== undefined) bytes.push(modrm);
  else if (hasModrm) {
    const any = random.word() & 0xff;
    bytes.push(digit === undefined || random.once(16) ? any : (any & 0xc7) | (digit << 3));
  }
  for (let rest = random.below(9); rest > 0; rest--)
    bytes.push(random.once(3) ? random.of(edges) : random.word() & 0xff);
  return bytes;
}

const edges = [0, 1, 2, 8, 0x10, 0x24, 0x7f, 0x80, 0xff] as const;

/** Up to 64 bytes of code. */
export function randomStream(random: Random, mode: MachineMode): Uint8Array {
  const { rows } = theOpcodeMap();
  const bytes: number[] = [];
  if (random.once(6)) for (let i = 0; i < 32; i++) bytes.push(random.word() & 0xff);
  for (let i = 1 + random.below(6); i > 0; i--) bytes.push(...instruction(random, random.of(rows).encoding, mode));
  return Uint8Array.from(bytes.slice(0, 64));
}

/** A value for a register: an address in memory, near its end or nowhere, a small number, or anything. */
export function randomRegister(random: Random): bigint {
  const any = (BigInt(random.word()) << 32n) | BigInt(random.word());
  return random.of<() => bigint>([
    () => BigInt(random.below(0x10_0000)),
    () => BigInt(0x10_0000 - random.below(32)),
    () => BigInt(0x5_0000 + random.below(0x1_0000)),
    () => BigInt(random.below(40)),
    () => any,
    () => any >> BigInt(random.below(64)),
    () => BigInt.asUintN(64, -BigInt(random.below(64))),
    () => 0x8000_0000_0000n - BigInt(random.below(16)),
  ])();
}
