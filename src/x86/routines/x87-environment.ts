import { Builder, routine } from "../../ir/builder.ts";
import type { Routine, Value } from "../../ir/node.ts";
import { unpackExtended } from "../softfloat/extended.ts";
import { State } from "../state.ts";
import { readRegister, slotOf, stackSlot } from "./x87.ts";

/**
 * The environment that FNSTENV and FNSAVE store. Intel SDM Vol. 1, "Saving the x87 FPU's State with FSTENV/FNSTENV and
 * FSAVE/FNSAVE". Selectors are 0: CPUID says that FCS and FDS are deprecated.
 */

const builder = () => new Builder();

/** Bytes of the environment, by operand size; the registers, 10 bytes each, follow it in FNSAVE's image. */
export const environmentBytes = { 16: 14, 32: 28 } as const;
export type EnvironmentSize = keyof typeof environmentBytes;
export const registerBytes = 10;

/** Tag 0 for a number, 1 for zero, 2 for what else there is, 3 for an empty register. */
function tagOf(ir: Builder, number: Value): Value {
  const { isZero, isUnsupported, isNan, isInfinity, isDenormal } = unpackExtended(
    ir,
    readRegister(ir, slotOf(ir, number)),
  );
  const special = [isUnsupported, isNan, isInfinity, isDenormal].reduce((any, each) => ir.or(any, each));
  const tag = ir.select(isZero, ir.const("i32", 1), ir.select(special, ir.const("i32", 2), ir.const("i32", 0)));
  const full = ir.ne(ir.and(ir.shr(ir.get("i32", State.ftw), number), 1), 0);
  return ir.select(full, tag, ir.const("i32", 3));
}

/** () → the full tag word: two bits for each register by physical number. */
const tagWord = routine("x87.tagWord", { parameters: [], results: ["i32"], faults: false }, builder, (ir) => {
  const number = ir.variable(ir.const("i32", 7));
  const word = ir.variable(ir.const("i32", 0));
  ir.loop((loop) => {
    const now = ir.read(number);
    ir.assign(word, ir.or(ir.shl(ir.read(word), 2), tagOf(ir, now)));
    ir.if(ir.eqz(now), () => ir.break(loop));
    ir.assign(number, ir.sub(now, 1));
  });
  ir.return(ir.read(word));
});

/** (full: i32) → the abridged tag word: a bit for each register that is not empty. */
function abridged(ir: Builder, full: Value): Value {
  const ones = ir.hold(ir.and(ir.and(full, ir.shr(full, 1)), 0x5555));
  const bits = Array.from({ length: 8 }, (_, number) => ir.and(ir.shr(ones, number), 1 << number));
  return ir.xor(
    bits.reduce((all, bit) => ir.or(all, bit)),
    0xff,
  );
}

/** Seven fields: control, status, tags, and two for each pointer, which the modes lay out differently. */
function pointerFields(ir: Builder, size: EnvironmentSize, real: Value): Value[] {
  const [fip, fdp] = [ir.trunc(ir.get("i64", State.fip), "i32"), ir.trunc(ir.get("i64", State.fdp), "i32")];
  const fop = ir.get("i32", State.fop);
  const inReal = ir.hold(ir.ne(real, 0));
  const both = (realMode: Value, protectedMode: Value) => ir.select(inReal, realMode, protectedMode);
  const zero = ir.const("i32", 0);
  if (size === 16) {
    const upper = (pointer: Value) => ir.and(ir.shr(pointer, 4), 0xf000);
    return [fip, both(ir.or(upper(fip), fop), zero), fdp, both(upper(fdp), zero)];
  }
  const upper = (pointer: Value) => ir.shl(ir.shr(pointer, 16), 12);
  const ones = ir.const("i32", 0xffff0000);
  const low = (pointer: Value) => ir.or(ir.and(pointer, 0xffff), ones);
  return [
    both(low(fip), fip),
    both(ir.or(upper(fip), fop), ir.shl(fop, 16)),
    both(low(fdp), fdp),
    both(upper(fdp), ones),
  ];
}

/** storeEnvironment(address: i64, real: i32). */
function store(size: EnvironmentSize): Routine {
  const signature = { parameters: ["i64", "i32"] as const, results: [], faults: true };
  return routine(`x87.storeEnvironment.${size}`, signature, builder, (ir, address, real) => {
    const words = [ir.get("i32", State.fcw), ir.get("i32", State.fsw), ir.call(tagWord)[0]!];
    const fields = [
      ...(size === 16 ? words : words.map((word) => ir.or(word, 0xffff0000))),
      ...pointerFields(ir, size, real),
    ];
    const bytes = size / 8;
    fields.forEach((field, index) =>
      ir.store(ir.add(address, index * bytes), size === 16 ? ir.trunc(field, "i16") : field),
    );
    ir.return();
  });
}

/** loadEnvironment(address: i64, real: i32): the environment has been found readable. */
function load(size: EnvironmentSize): Routine {
  const signature = { parameters: ["i64", "i32"] as const, results: [], faults: true };
  return routine(`x87.loadEnvironment.${size}`, signature, builder, (ir, address, real) => {
    const field = (index: number) =>
      ir.zext(ir.load(size === 16 ? "i16" : "i32", ir.add(address, (index * size) / 8)), "i32");
    const [fcw, fsw, tags, first, second, third, fourth] = Array.from({ length: 7 }, (_, index) => field(index)) as [
      Value, Value, Value, Value, Value, Value, Value,
    ]; // prettier-ignore
    const inReal = ir.hold(ir.ne(real, 0));
    const upper = (pointer: Value) =>
      size === 16 ? ir.shl(ir.and(pointer, 0xf000), 4) : ir.shl(ir.and(ir.shr(pointer, 12), 0xffff), 16);
    const pointer = (low: Value, high: Value) =>
      ir.zext(ir.select(inReal, ir.or(ir.and(low, 0xffff), upper(high)), low), "i64");
    const opcode =
      size === 16 ? ir.select(inReal, second, ir.const("i32", 0)) : ir.select(inReal, second, ir.shr(second, 16));
    ir.set(State.fcw, ir.or(ir.and(fcw, 0x1f3f), 0x40));
    ir.set(State.fsw, ir.and(fsw, 0xffff));
    ir.set(State.ftw, abridged(ir, tags));
    ir.set(State.fip, pointer(first, second));
    ir.set(State.fdp, pointer(third, fourth));
    ir.set(State.fop, ir.and(opcode, 0x7ff));
    ir.return();
  });
}

export const storeEnvironment = { 16: store(16), 32: store(32) };
export const loadEnvironment = { 16: load(16), 32: load(32) };

/** Does something with ST(0) to ST(7) and their places in memory. */
function eachRegister(ir: Builder, address: Value, visit: (slot: Value, at: Value) => void): void {
  const index = ir.variable(ir.const("i32", 0));
  ir.loop((loop) => {
    const now = ir.read(index);
    ir.if(ir.eq(now, 8), () => ir.break(loop));
    visit(stackSlot(ir, now), ir.hold(ir.add(address, ir.zext(ir.mul(now, registerBytes), "i64"))));
    ir.assign(index, ir.add(now, 1));
  });
}

/** storeRegisters(address: i64): ST(0) to ST(7), 10 bytes each; by words, so that no more than a word's alignment is wanted. */
export const storeRegisters = routine(
  "x87.storeRegisters",
  { parameters: ["i64"], results: [], faults: true },
  builder,
  (ir, address) => {
    eachRegister(ir, address, (slot, at) => {
      for (let word = 0; word < registerBytes; word += 2) ir.store(ir.add(at, word), ir.get("i16", ir.add(slot, word)));
    });
    ir.return();
  },
);

/** loadRegisters(address: i64): the opposite. TOP is that of the environment loaded before. */
export const loadRegisters = routine(
  "x87.loadRegisters",
  { parameters: ["i64"], results: [], faults: true },
  builder,
  (ir, address) => {
    eachRegister(ir, address, (slot, at) => {
      for (let word = 0; word < registerBytes; word += 2) ir.set(ir.add(slot, word), ir.load("i16", ir.add(at, word)));
    });
    ir.return();
  },
);
