import type { Value } from "../../ir/node.ts";
import { Vector } from "../exceptions.ts";
import { instruction } from "../instruction.ts";
import { setZero } from "../partial-flags.ts";
import { Gpr, gprSlot } from "../state.ts";

/** XCHG — swaps; with memory it is atomic, LOCK or not. Intel SDM Vol. 2D, "XCHG—Exchange Register/Memory With Register". */
export const xchg = instruction({
  mnemonic: "xchg",
  encodings: ["86  Eb,Gb  lock", "87  Ev,Gv  lock"],
  semantics(ir, destination, source) {
    const value = source.read();
    if (destination.kind === "memory") {
      const [before] = ir.update(destination.type, destination.address("write"), true, () => value);
      source.write(before);
    } else {
      const before = destination.read();
      destination.write(value);
      source.write(before);
    }
  },
});

/** XCHG with the accumulator. 90 without REX.B is NOP: EAX exchanged with itself keeps the upper half of RAX. */
export const xchgAccumulator = instruction({
  mnemonic: "xchg",
  encodings: ["90 +  Zv,rAX"],
  semantics(ir, register, accumulator) {
    const swap = () => {
      const [a, b] = [register.read(), accumulator.read()];
      register.write(b);
      accumulator.write(a);
    };
    const { slot } = register;
    if (register.type !== "i32") swap();
    else if (typeof slot === "object") ir.if(ir.ne(slot, gprSlot(Gpr.rax)), swap);
    else if (slot !== gprSlot(Gpr.rax)) swap();
  },
});

/** XADD — DEST ← DEST + SRC, SRC ← the old DEST. Intel SDM Vol. 2D, "XADD—Exchange and Add". */
export const xadd = instruction({
  mnemonic: "xadd",
  encodings: ["0F C0  Eb,Gb  lock", "0F C1  Ev,Gv  lock"],
  semantics(ir, destination, source) {
    const addend = source.read();
    if (destination.kind === "memory") {
      const [before, sum] = destination.update((value) => ir.add(value, addend));
      source.write(before);
      ir.flags.add(before, addend, sum);
    } else {
      const before = destination.read();
      const sum = ir.hold(ir.add(before, addend));
      source.write(before);
      destination.write(sum);
      ir.flags.add(before, addend, sum);
    }
  },
});

/**
 * CMPXCHG — if DEST equals the accumulator it becomes SRC, otherwise the accumulator becomes DEST; DEST is written either
 * way. Flags as CMP accumulator, DEST. Intel SDM Vol. 2A, "CMPXCHG—Compare and Exchange".
 */
export const cmpxchg = instruction({
  mnemonic: "cmpxchg",
  encodings: ["0F B0  Eb,Gb  lock", "0F B1  Ev,Gv  lock"],
  semantics(ir, destination, source) {
    const expected = ir.gpr("rax", destination.type);
    const replacement = source.read();
    const exchange = (before: Value) => ir.select(ir.eq(before, expected), replacement, before);
    if (destination.kind === "memory") {
      const [before] = destination.update(exchange);
      ir.if(ir.ne(before, expected), () => ir.setGpr("rax", before));
      ir.flags.sub(expected, before, ir.sub(expected, before));
    } else {
      const before = destination.read();
      ir.if(
        ir.eq(before, expected),
        () => destination.write(replacement),
        () => ir.setGpr("rax", before),
      );
      ir.flags.sub(expected, before, ir.sub(expected, before));
    }
  },
});

/** CMPXCHG8B — as CMPXCHG with EDX:EAX and ECX:EBX; of the flags ZF alone. Intel SDM Vol. 2A, "CMPXCHG8B/CMPXCHG16B". */
export const cmpxchg8b = instruction({
  mnemonic: "cmpxchg8b",
  encodings: ["0F C7 /1  Mq  lock w0"],
  semantics(ir, destination) {
    const pair = (high: Value, low: Value) => ir.hold(ir.or(ir.shl(ir.zext(high, "i64"), 32), ir.zext(low, "i64")));
    const expected = pair(ir.gpr("rdx", "i32"), ir.gpr("rax", "i32"));
    const replacement = pair(ir.gpr("rcx", "i32"), ir.gpr("rbx", "i32"));
    const [before] = destination.update((value) => ir.select(ir.eq(value, expected), replacement, value));
    const equal = ir.hold(ir.eq(before, expected));
    ir.if(ir.eqz(equal), () => {
      ir.setGpr("rax", ir.trunc(before, "i32"));
      ir.setGpr("rdx", ir.trunc(ir.shr(before, 32), "i32"));
    });
    setZero(ir, equal);
  },
});

/** CMPXCHG16B — with RDX:RAX and RCX:RBX. #GP(0): the operand is not aligned to 16 bytes. */
export const cmpxchg16b = instruction({
  mnemonic: "cmpxchg16b",
  encodings: ["0F C7 /1  Mx  lock w1 x64"],
  feature: "CMPXCHG16B",
  semantics(ir, destination) {
    const address = destination.address("write");
    ir.if(ir.ne(ir.and(address, 15), 0), () => ir.fault(Vector.GP, 0));
    const [low, high] = [ir.gpr("rax"), ir.gpr("rdx")];
    const [newLow, newHigh] = [ir.gpr("rbx"), ir.gpr("rcx")];
    const half = (value: Value, lane: number) => ir.op("i64x2.extract_lane", [value], lane);
    const isEqual = (value: Value) => ir.and(ir.eq(half(value, 0), low), ir.eq(half(value, 1), high));
    const [before] = destination.update((value) => {
      const equal = ir.hold(isEqual(value));
      const bottom = ir.op("i64x2.splat", [ir.select(equal, newLow, half(value, 0))]);
      return ir.op("i64x2.replace_lane", [bottom, ir.select(equal, newHigh, half(value, 1))], 1);
    });
    const equal = ir.hold(isEqual(before));
    ir.if(ir.eqz(equal), () => {
      ir.setGpr("rax", half(before, 0));
      ir.setGpr("rdx", half(before, 1));
    });
    setZero(ir, equal);
  },
});
