import type { Value } from "../../ir/node.ts";
import { bitsOf } from "../../ir/types.ts";
import { Vector } from "../exceptions.ts";
import { instruction } from "../instruction.ts";
import type { Operand } from "../operand.ts";
import { setCarryOverflow } from "../partial-flags.ts";
import { depositBits, extractBits } from "../routines/bit-fields.ts";
import type { Semantics } from "../semantics.ts";
import { multiplyHighUnsigned } from "../wide.ts";

/** VEX prefixes are #UD in real and virtual-8086 mode. */
function requireProtected(ir: Semantics): void {
  if (!ir.long) ir.if(ir.eqz(ir.isProtected()), () => ir.fault(Vector.UD));
}

/** ZF and SF by the result, OF clear, CF as given. */
function setFlags(ir: Semantics, carry: Value, result: Value): void {
  ir.flags.shift(carry, ir.const("i1", 0), result);
}

/** The lowest `count` ones, a value of the count's type; all of them from its width on. */
function ones(ir: Semantics, count: Value): Value {
  const bits = bitsOf[count.type];
  const some = ir.sub(ir.shl(ir.const(count.type, 1), count), 1);
  return ir.select(ir.ltu(count, bits), some, ir.const(count.type, -1));
}

/** ANDN — DEST ← NOT SRC1 AND SRC2. Intel SDM Vol. 2A, "ANDN—Logical AND NOT". */
export const andn = instruction({
  mnemonic: "andn",
  encodings: ["VEX NP 0F 38 F2  Gy,By,Ey"],
  feature: "BMI1",
  undefinedFlags: ["af", "pf"],
  semantics(ir, destination, inverted, source) {
    requireProtected(ir);
    const result = ir.hold(ir.and(ir.not(inverted.read()), source.read()));
    destination.write(result);
    ir.flags.logic(result);
  },
});

/** BEXTR — a field whose start and length are the two low bytes of SRC2. Intel SDM Vol. 2A, "BEXTR—Bit Field Extract". */
export const bextr = instruction({
  mnemonic: "bextr",
  encodings: ["VEX NP 0F 38 F7  Gy,Ey,By"],
  feature: "BMI1",
  undefinedFlags: ["af", "sf", "pf"],
  semantics(ir, destination, source, control) {
    requireProtected(ir);
    const { type, bits } = source;
    const range = control.read();
    const start = ir.hold(ir.and(range, 0xff));
    const length = ir.hold(ir.and(ir.shr(range, 8), 0xff));
    const shifted = ir.select(ir.ltu(start, bits), ir.shr(source.read(), start), ir.const(type, 0));
    const result = ir.hold(ir.and(shifted, ones(ir, length)));
    destination.write(result);
    ir.flags.logic(result);
  },
});

/** The instructions that work on the lowest one of a source. CF says whether there is one, or that there is none. */
function lowestOne(
  ir: Semantics,
  destination: Operand,
  source: Operand,
  change: (value: Value) => Value,
  carry: (value: Value) => Value,
): void {
  requireProtected(ir);
  const value = source.read();
  const result = ir.hold(change(value));
  destination.write(result);
  setFlags(ir, carry(value), result);
}

/** BLSR — clears the lowest one. Intel SDM Vol. 2A, "BLSR—Reset Lowest Set Bit". */
export const blsr = instruction({
  mnemonic: "blsr",
  encodings: ["VEX NP 0F 38 F3 /1  By,Ey"],
  feature: "BMI1",
  undefinedFlags: ["af", "pf"],
  semantics: (ir, destination, source) =>
    lowestOne(
      ir,
      destination,
      source,
      (value) => ir.and(ir.sub(value, 1), value),
      (value) => ir.eqz(value),
    ),
});

/** BLSMSK — ones up to the lowest one. Intel SDM Vol. 2A, "BLSMSK—Get Mask Up to Lowest Set Bit". */
export const blsmsk = instruction({
  mnemonic: "blsmsk",
  encodings: ["VEX NP 0F 38 F3 /2  By,Ey"],
  feature: "BMI1",
  undefinedFlags: ["af", "pf"],
  semantics: (ir, destination, source) =>
    lowestOne(
      ir,
      destination,
      source,
      (value) => ir.xor(ir.sub(value, 1), value),
      (value) => ir.eqz(value),
    ),
});

/** BLSI — the lowest one alone. Intel SDM Vol. 2A, "BLSI—Extract Lowest Set Isolated Bit". */
export const blsi = instruction({
  mnemonic: "blsi",
  encodings: ["VEX NP 0F 38 F3 /3  By,Ey"],
  feature: "BMI1",
  undefinedFlags: ["af", "pf"],
  semantics: (ir, destination, source) =>
    lowestOne(
      ir,
      destination,
      source,
      (value) => ir.and(ir.neg(value), value),
      (value) => ir.ne(value, 0),
    ),
});

/** BZHI — clears the bits from SRC2's low byte on; CF ← it is beyond the operand. Intel SDM Vol. 2A, "BZHI—Zero High Bits Starting With Specified Bit Position". */
export const bzhi = instruction({
  mnemonic: "bzhi",
  encodings: ["VEX NP 0F 38 F5  Gy,Ey,By"],
  feature: "BMI2",
  undefinedFlags: ["af", "pf"],
  semantics(ir, destination, source, position) {
    requireProtected(ir);
    const count = ir.hold(ir.and(position.read(), 0xff));
    const result = ir.hold(ir.and(source.read(), ones(ir, count)));
    destination.write(result);
    setFlags(ir, ir.leu(source.bits, count), result);
  },
});

/** MULX — DEST1:DEST2 ← rDX × SRC, no flags; where both are one register it has the high half. Intel SDM Vol. 2B, "MULX—Unsigned Multiply Without Affecting Flags". */
export const mulx = instruction({
  mnemonic: "mulx",
  encodings: ["VEX F2 0F 38 F6  Gy,By,Ey"],
  feature: "BMI2",
  semantics(ir, high, low, source) {
    requireProtected(ir);
    const [a, b] = [ir.gpr("rdx", source.type), source.read()];
    if (source.type === "i64") {
      const top = ir.hold(multiplyHighUnsigned(ir, a, b));
      low.write(ir.mul(a, b));
      high.write(top);
    } else {
      const whole = ir.hold(ir.mul(ir.zext(a, "i64"), ir.zext(b, "i64")));
      low.write(ir.trunc(whole, "i32"));
      high.write(ir.trunc(ir.shr(whole, 32), "i32"));
    }
  },
});

function throughMask(
  ir: Semantics,
  destination: Operand,
  source: Operand,
  mask: Operand,
  routine: typeof depositBits,
): void {
  requireProtected(ir);
  const [result] = ir.call(routine, ir.zext(source.read(), "i64"), ir.zext(mask.read(), "i64")) as [Value];
  destination.write(ir.trunc(result, destination.type));
}

/** PDEP — Intel SDM Vol. 2B, "PDEP—Parallel Bits Deposit". */
export const pdep = instruction({
  mnemonic: "pdep",
  encodings: ["VEX F2 0F 38 F5  Gy,By,Ey"],
  feature: "BMI2",
  semantics: (ir, destination, source, mask) => throughMask(ir, destination, source, mask, depositBits),
});

/** PEXT — Intel SDM Vol. 2B, "PEXT—Parallel Bits Extract". */
export const pext = instruction({
  mnemonic: "pext",
  encodings: ["VEX F3 0F 38 F5  Gy,By,Ey"],
  feature: "BMI2",
  semantics: (ir, destination, source, mask) => throughMask(ir, destination, source, mask, extractBits),
});

/** A shift or rotation by a count masked to the operand's width, without flags. */
function shiftWithoutFlags(
  ir: Semantics,
  destination: Operand,
  source: Operand,
  count: Operand,
  name: "shl" | "shr" | "sar" | "rotr",
): void {
  requireProtected(ir);
  const by = ir.and(count.read(source.type), source.bits - 1);
  destination.write(ir.op(name, [source.read(), by]));
}

/** RORX — Intel SDM Vol. 2B, "RORX—Rotate Right Logical Without Affecting Flags". */
export const rorx = instruction({
  mnemonic: "rorx",
  encodings: ["VEX F2 0F 3A F0  Gy,Ey,Ib"],
  feature: "BMI2",
  semantics: (ir, destination, source, count) => shiftWithoutFlags(ir, destination, source, count, "rotr"),
});

/** SARX — Intel SDM Vol. 2B, "SARX/SHLX/SHRX—Shift Without Affecting Flags". */
export const sarx = instruction({
  mnemonic: "sarx",
  encodings: ["VEX F3 0F 38 F7  Gy,Ey,By"],
  feature: "BMI2",
  semantics: (ir, destination, source, count) => shiftWithoutFlags(ir, destination, source, count, "sar"),
});

/** SHLX. */
export const shlx = instruction({
  mnemonic: "shlx",
  encodings: ["VEX 66 0F 38 F7  Gy,Ey,By"],
  feature: "BMI2",
  semantics: (ir, destination, source, count) => shiftWithoutFlags(ir, destination, source, count, "shl"),
});

/** SHRX. */
export const shrx = instruction({
  mnemonic: "shrx",
  encodings: ["VEX F2 0F 38 F7  Gy,Ey,By"],
  feature: "BMI2",
  semantics: (ir, destination, source, count) => shiftWithoutFlags(ir, destination, source, count, "shr"),
});

/** Adds with a carry of its own, and leaves the other flags alone. */
function addWithChain(ir: Semantics, destination: Operand, source: Operand, chain: "cf" | "of"): void {
  const { type } = destination;
  const [a, b] = [destination.read(), source.read()];
  const carry = ir.hold(ir.zext(ir.flag(chain), type));
  const partial = ir.hold(ir.add(a, b));
  const sum = ir.hold(ir.add(partial, carry));
  const out = ir.hold(ir.or(ir.ltu(partial, a), ir.ltu(sum, partial)));
  const [cf, of] = chain === "cf" ? [out, ir.flag("of")] : [ir.flag("cf"), out];
  destination.write(sum);
  setCarryOverflow(ir, cf, of);
}

/** ADCX — ADC that changes CF alone. Intel SDM Vol. 2A, "ADCX—Unsigned Integer Addition of Two Operands With Carry Flag". */
export const adcx = instruction({
  mnemonic: "adcx",
  encodings: ["66 0F 38 F6  Gy,Ey"],
  feature: "ADX",
  semantics: (ir, destination, source) => addWithChain(ir, destination, source, "cf"),
});

/** ADOX — the same with OF. Intel SDM Vol. 2A, "ADOX—Unsigned Integer Addition of Two Operands With Overflow Flag". */
export const adox = instruction({
  mnemonic: "adox",
  encodings: ["F3 0F 38 F6  Gy,Ey"],
  feature: "ADX",
  semantics: (ir, destination, source) => addWithChain(ir, destination, source, "of"),
});
