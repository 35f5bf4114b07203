import type { Value } from "../../ir/node.ts";
import { Attribute, SystemType, attributesOf, dplOf, has, isLongModeActive, limitOf } from "../descriptors.ts";
import { statusFlagsMask } from "../flags.ts";
import { Flag } from "../flags.ts";
import { instruction } from "../instruction.ts";
import type { Operand } from "../operand.ts";
import { requireProtected } from "../privilege.ts";
import { isNullSelector, readDescriptor } from "../routines/descriptor.ts";
import type { Semantics } from "../semantics.ts";
import { State } from "../state.ts";

/** ZF ← value; the other status flags stay. */
function setZero(ir: Semantics, value: Value): void {
  const others = ir.and(ir.statusFlags(), statusFlagsMask & ~(1 << Flag.zf));
  ir.flags.explicit(ir.or(others, ir.shl(ir.zext(value, "i32"), Flag.zf)));
}

interface Queried {
  readonly selector: Value;
  readonly descriptor: Value;
  readonly attributes: Value;
  /** The selector is not null and inside its table. */
  readonly found: Value;
}
function query(ir: Semantics, source: Operand): Queried {
  requireProtected(ir);
  const selector = ir.hold(ir.zext(source.read("i16"), "i32"));
  const [descriptor, address] = ir.call(readDescriptor, selector) as [Value, Value];
  const found = ir.hold(ir.and(ir.eqz(isNullSelector(ir, selector)), ir.ne(address, -1)));
  return { selector, descriptor, attributes: ir.hold(attributesOf(ir, descriptor)), found };
}

/** CPL and RPL reach the segment: conforming code always, anything else if neither exceeds DPL. */
function reaches(ir: Semantics, { selector, attributes }: Queried): Value {
  const dpl = ir.hold(dplOf(ir, attributes));
  const privileged = ir.and(ir.leu(ir.get("i32", State.cpl), dpl), ir.leu(ir.and(selector, 3), dpl));
  const bits = Attribute.application | Attribute.code | Attribute.conforming;
  return ir.or(privileged, ir.eq(ir.and(attributes, bits), bits));
}

/** Whether the descriptor's type is an application segment or one of the system types given. */
function isType(ir: Semantics, { attributes }: Queried, narrow: readonly number[], long: readonly number[]): Value {
  const bit = ir.shl(ir.const("i32", 1), ir.and(attributes, 0xf));
  const set = (types: readonly number[]) => types.reduce((all, type) => all | (1 << type), 0);
  const allowed = ir.select(isLongModeActive(ir), ir.const("i32", set(long)), ir.const("i32", set(narrow)));
  return ir.or(has(ir, attributes, Attribute.application), ir.ne(ir.and(allowed, bit), 0));
}

const longTypes = [SystemType.ldt, SystemType.tss32Available, SystemType.tss32Busy] as const;
const legacyTypes = [...longTypes, SystemType.tss16Available, SystemType.tss16Busy] as const;

/** Writes the destination if `valid`, and ZF either way. */
function answer(ir: Semantics, destination: Operand, valid: Value, value: Value): void {
  const held = ir.hold(valid);
  ir.if(held, () => destination.write(ir.resize(value, destination.type)));
  setZero(ir, held);
}

/** LAR — access rights, bits 8–23 of a descriptor's second doubleword. Intel SDM Vol. 2A, "LAR—Load Access Rights Byte". */
export const lar = instruction({
  mnemonic: "lar",
  encodings: ["0F 02  Gv,Ew  system"],
  semantics(ir, destination, source) {
    const queried = query(ir, source);
    const gates = [SystemType.callGate16, SystemType.taskGate, SystemType.callGate32];
    const known = isType(ir, queried, [...legacyTypes, ...gates], [...longTypes, SystemType.callGate32]);
    const valid = ir.and(queried.found, ir.and(known, reaches(ir, queried)));
    answer(ir, destination, valid, ir.and(ir.shr(queried.descriptor, 32), 0x00f0ff00));
  },
});

/** LSL — a segment's limit in bytes. Intel SDM Vol. 2A, "LSL—Load Segment Limit". */
export const lsl = instruction({
  mnemonic: "lsl",
  encodings: ["0F 03  Gv,Ew  system"],
  semantics(ir, destination, source) {
    const queried = query(ir, source);
    const known = isType(ir, queried, legacyTypes, longTypes);
    const valid = ir.and(queried.found, ir.and(known, reaches(ir, queried)));
    answer(ir, destination, valid, ir.zext(limitOf(ir, queried.descriptor), "i64"));
  },
});

/** VERR — ZF ← the segment can be read from here. Intel SDM Vol. 2D, "VERR/VERW—Verify a Segment for Reading or Writing". */
export const verr = instruction({
  mnemonic: "verr",
  encodings: ["0F 00 /4  Ew  system"],
  semantics(ir, source) {
    const queried = query(ir, source);
    const executeOnly = ir.eq(ir.and(queried.attributes, Attribute.code | Attribute.readable), Attribute.code);
    const readable = ir.and(has(ir, queried.attributes, Attribute.application), ir.eqz(executeOnly));
    setZero(ir, ir.hold(ir.and(queried.found, ir.and(readable, reaches(ir, queried)))));
  },
});

/** VERW — ZF ← the segment can be written from here. */
export const verw = instruction({
  mnemonic: "verw",
  encodings: ["0F 00 /5  Ew  system"],
  semantics(ir, source) {
    const queried = query(ir, source);
    const bits = Attribute.application | Attribute.writable;
    const writable = ir.eq(ir.and(queried.attributes, bits | Attribute.code), bits);
    setZero(ir, ir.hold(ir.and(queried.found, ir.and(writable, reaches(ir, queried)))));
  },
});

/** ARPL — raises a selector's RPL to that of another; ZF says whether. Intel SDM Vol. 2A, "ARPL—Adjust RPL Field". */
export const arpl = instruction({
  mnemonic: "arpl",
  encodings: ["63  Ew,Gw  i64 system"],
  semantics(ir, destination, source) {
    requireProtected(ir);
    const before = ir.hold(destination.read());
    const rpl = ir.hold(ir.and(source.read(), 3));
    const raises = ir.hold(ir.ltu(ir.and(before, 3), rpl));
    ir.if(raises, () => destination.write(ir.or(ir.and(before, 0xfffc), rpl)));
    setZero(ir, raises);
  },
});
