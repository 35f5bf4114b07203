/**
 * Our decoder against iced-x86 on random bytes: validity, length, operands. XENOLITH_DECODE_CASES sets how many strings
 * are tried in each mode, XENOLITH_SEED which.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { DecoderOptions } from "iced-x86";
import { decode } from "../../src/x86/decode/decode.ts";
import { buildOpcodeMap } from "../../src/x86/decode/opcode-map.ts";
import { instructions } from "../../src/x86/instructions/index.ts";
import { expectationOf } from "./advertised.ts";
import { icedDecoder, randomInstruction, SLOT, type IcedDecoding } from "./decode-iced.ts";
import { describe, sameOperands } from "./decode-ours.ts";
import { randomFrom } from "./values.ts";
import type { Mode } from "./wire.ts";

const CASES = Number(process.env["XENOLITH_DECODE_CASES"] ?? 1_000_000);
const SEED = Number(process.env["XENOLITH_SEED"] ?? 1);
const BATCH = 10_000;
/** Where the strings are said to lie: targets wrap differently in each mode. */
const IP = 0x1000n;

const map = buildOpcodeMap(instructions);
const mnemonics = new Set(instructions.map(({ mnemonic }) => mnemonic));

interface Kind {
  count: number;
  readonly example: string;
}

/** One string's disagreement in a few words, or undefined. Invalid LOCKs and lengths count as much as operands do. */
function disagreement(
  bytes: Uint8Array,
  mode: Mode,
  iced: IcedDecoding,
  asNop: () => IcedDecoding,
): string | undefined {
  const ours = decode(map, bytes, 0, mode);
  const expectation = expectationOf(iced, asNop, mnemonics, mode);
  if (expectation === "either") return undefined;
  // Prefixes that mean nothing, or another maker's hypercall: still calls to our hypervisor.
  if (typeof ours !== "string" && /^vmm?call$/.test(ours.row.instruction.mnemonic)) return undefined;
  if (expectation === "undefined")
    return typeof ours === "string"
      ? undefined
      : `${ours.row.instruction.mnemonic} "${ours.row.encoding.row}": undefined to iced (${iced.code})`;
  if (typeof ours === "string") return `${iced.code}: ${ours} to us`;
  const length = expectation === "nop" ? asNop().length : iced.length;
  if (ours.length !== length) return `${iced.code}: length ${length}, ours ${ours.length} (${ours.row.encoding.row})`;
  if (expectation === "nop") return undefined;
  const operands = describe(ours, mode, IP);
  if (sameOperands(operands, iced, ours.row.instruction.mnemonic)) return undefined;
  return `${iced.code}: operands differ (${ours.row.encoding.row})`;
}

for (const mode of [64, 32, 16] as const) {
  test(`decode: ${CASES} random strings in ${mode}-bit mode are the same to iced-x86`, () => {
    const random = randomFrom(SEED * 3 + mode);
    const bytes = new Uint8Array(BATCH * SLOT);
    const kinds = new Map<string, Kind>();
    let valid = 0;
    for (let done = 0; done < CASES; done += BATCH) {
      for (let slot = 0; slot < BATCH; slot++) randomInstruction(random, mode, bytes, slot * SLOT);
      using decoder = icedDecoder(mode, bytes);
      using asNops = icedDecoder(mode, bytes, DecoderOptions.NoWbnoinvd | DecoderOptions.ForceReservedNop);
      for (let slot = 0; slot < BATCH; slot++) {
        const iced = decoder.decode(slot, IP);
        if (iced.valid) valid++;
        const string = bytes.subarray(slot * SLOT, (slot + 1) * SLOT);
        const what = disagreement(string, mode, iced, () => asNops.decode(slot, IP));
        if (what === undefined) continue;
        const kind = kinds.get(what);
        if (kind !== undefined) kind.count++;
        else kinds.set(what, { count: 1, example: exampleOf(string, mode, iced) });
      }
    }
    assert.ok(valid > CASES / 4, `only ${valid} strings are instructions: the generator does not work`);
    const listed = [...kinds].toSorted(([, a], [, b]) => b.count - a.count);
    const shown = listed
      .slice(0, 60)
      .map(([what, { count, example }]) => `${String(count).padStart(7)}  ${what}\n         ${example}`);
    assert.equal(listed.length, 0, `${listed.length} kinds of disagreement\n${shown.join("\n")}`);
  });
}

function exampleOf(string: Uint8Array, mode: Mode, iced: IcedDecoding): string {
  const ours = decode(map, string, 0, mode);
  const hex = Array.from(string.subarray(0, 15), (byte) => byte.toString(16).padStart(2, "0")).join(" ");
  const text = typeof ours === "string" ? ours : `${ours.length} [${describe(ours, mode, IP).join(" ")}]`;
  return `${hex}  iced ${iced.length} [${iced.operands.join(" ")}]  ours ${text}`;
}
