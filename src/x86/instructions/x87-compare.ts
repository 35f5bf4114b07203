import type { Value } from "../../ir/node.ts";
import { Flag } from "../flags.ts";
import { instruction } from "../instruction.ts";
import type { Operand } from "../operand.ts";
import { compareTop } from "../routines/x87-compare.ts";
import { Status, isStackEmpty, pop, readRegister, stackSlot } from "../routines/x87.ts";
import type { Semantics } from "../semantics.ts";
import { Relation } from "../softfloat/compare.ts";
import { unpackExtended } from "../softfloat/extended.ts";
import { State } from "../state.ts";
import { beginX87, readNumber, setPointers, setScratch } from "../x87-operands.ts";
import type { MemoryKind } from "../x87-operands.ts";

/** Comparisons and classification. Intel SDM Vol. 1, "x87 FPU Comparison Instructions". */

const feature = "x87";
const conditions = Status.c0 | Status.c2 | Status.c3;

/** One of four constants by a relation. */
function byRelation(ir: Semantics, relation: Value, values: Readonly<Record<keyof typeof Relation, number>>): Value {
  const pick = (name: keyof typeof Relation, otherwise: Value) =>
    ir.select(ir.eq(relation, Relation[name]), ir.const("i32", values[name]), otherwise);
  return pick("equal", pick("less", pick("greater", ir.const("i32", values.unordered))));
}

/** C3, C2 and C0 as comparisons set them. */
function setConditions(ir: Semantics, relation: Value): void {
  const codes = byRelation(ir, relation, { equal: Status.c3, less: Status.c0, greater: 0, unordered: conditions });
  ir.set(State.fsw, ir.or(ir.and(ir.get("i32", State.fsw), ~conditions), codes));
}

interface Comparison {
  /** Whether a quiet NaN is invalid. */
  readonly quiet: "invalid" | "valid";
  readonly pops: 0 | 1 | 2;
  /** Where the relation goes: the status word, or the flags. */
  readonly to: "status" | "flags";
}

/** Compares ST(0) with a register by slot, and says what came of it. */
function compare(ir: Semantics, { quiet, pops, to }: Comparison, other: Value, hints: Value): void {
  const quietToo = ir.const("i32", quiet === "invalid" ? 1 : 0);
  const [relation, stored] = ir.call(compareTop, other, quietToo, hints) as [Value, Value];
  if (to === "status") setConditions(ir, relation);
  for (let index = 0; index < pops; index++) ir.if(ir.ne(stored, 0), () => pop(ir));
  if (to === "status") return;
  const [zf, pf, cf] = [1 << Flag.zf, 1 << Flag.pf, 1 << Flag.cf];
  ir.flags.explicit(byRelation(ir, relation, { equal: zf, less: cf, greater: 0, unordered: zf | pf | cf }));
}

function withRegister(comparison: Comparison) {
  return (ir: Semantics, other: Operand): void => {
    beginX87(ir);
    setPointers(ir);
    const index = other.read();
    const hints = ir.zext(ir.or(isStackEmpty(ir, 0), isStackEmpty(ir, index)), "i32");
    compare(ir, comparison, stackSlot(ir, index), hints);
  };
}

function withMemory(comparison: Comparison, kind: MemoryKind) {
  return (ir: Semantics, source: Operand): void => {
    beginX87(ir);
    const [number, flags] = readNumber(ir, source, kind);
    setPointers(ir, source);
    const denormal = setScratch(ir, number, flags);
    compare(ir, comparison, ir.const("i32", State.scratch), ir.or(denormal, ir.zext(isStackEmpty(ir, 0), "i32")));
  };
}

const ordered = { quiet: "invalid", pops: 0, to: "status" } as const;
const unordered = { quiet: "valid", pops: 0, to: "status" } as const;

/** FCOM, FCOMP and FCOMPP. Intel SDM Vol. 2A, "FCOM/FCOMP/FCOMPP—Compare Floating-Point Values"; DC and DE /2 are undocumented. */
export const fcom = instruction({
  mnemonic: "fcom",
  encodings: ["D8 /2  Md", "DC /2  Mq"],
  feature,
  semantics: withMemory(ordered, "float"),
});
export const fcomRegister = instruction({
  mnemonic: "fcom",
  encodings: ["D8 /2  F", "DC /2  F"],
  feature,
  semantics: withRegister(ordered),
});
export const fcomp = instruction({
  mnemonic: "fcomp",
  encodings: ["D8 /3  Md", "DC /3  Mq"],
  feature,
  semantics: withMemory({ ...ordered, pops: 1 }, "float"),
});
export const fcompRegister = instruction({
  mnemonic: "fcomp",
  encodings: ["D8 /3  F", "DC /3  F", "DE /2  F"],
  feature,
  semantics: withRegister({ ...ordered, pops: 1 }),
});
/** FICOM and FICOMP. Intel SDM Vol. 2A, "FICOM/FICOMP—Compare Integer". */
export const ficom = instruction({
  mnemonic: "ficom",
  encodings: ["DE /2  Mw", "DA /2  Md"],
  feature,
  semantics: withMemory(ordered, "integer"),
});
export const ficomp = instruction({
  mnemonic: "ficomp",
  encodings: ["DE /3  Mw", "DA /3  Md"],
  feature,
  semantics: withMemory({ ...ordered, pops: 1 }, "integer"),
});
/** FUCOM, FUCOMP and FUCOMPP. Intel SDM Vol. 2A, "FUCOM/FUCOMP/FUCOMPP—Unordered Compare Floating-Point Values". */
export const fucom = instruction({
  mnemonic: "fucom",
  encodings: ["DD /4  F"],
  feature,
  semantics: withRegister(unordered),
});
export const fucomp = instruction({
  mnemonic: "fucomp",
  encodings: ["DD /5  F"],
  feature,
  semantics: withRegister({ ...unordered, pops: 1 }),
});

/** A comparison with a register that the opcode says. */
function withFixed(comparison: Comparison, index: number) {
  return (ir: Semantics): void => {
    beginX87(ir);
    setPointers(ir);
    const hints = ir.zext(ir.or(isStackEmpty(ir, 0), isStackEmpty(ir, index)), "i32");
    compare(ir, comparison, stackSlot(ir, index), hints);
  };
}
export const fcompp = instruction({
  mnemonic: "fcompp",
  encodings: ["DE =D9"],
  feature,
  semantics: withFixed({ ...ordered, pops: 2 }, 1),
});
export const fucompp = instruction({
  mnemonic: "fucompp",
  encodings: ["DA =E9"],
  feature,
  semantics: withFixed({ ...unordered, pops: 2 }, 1),
});

/** FCOMI, FCOMIP, FUCOMI and FUCOMIP. Intel SDM Vol. 2A, "FCOMI/FCOMIP/FUCOMI/FUCOMIP—Compare Floating-Point Values and Set EFLAGS". */
export const fcomi = instruction({
  mnemonic: "fcomi",
  encodings: ["DB /6  F"],
  feature,
  semantics: withRegister({ ...ordered, to: "flags" }),
});
export const fcomip = instruction({
  mnemonic: "fcomip",
  encodings: ["DF /6  F"],
  feature,
  semantics: withRegister({ ...ordered, pops: 1, to: "flags" }),
});
export const fucomi = instruction({
  mnemonic: "fucomi",
  encodings: ["DB /5  F"],
  feature,
  semantics: withRegister({ ...unordered, to: "flags" }),
});
export const fucomip = instruction({
  mnemonic: "fucomip",
  encodings: ["DF /5  F"],
  feature,
  semantics: withRegister({ ...unordered, pops: 1, to: "flags" }),
});

/** FTST — ST(0) with 0. Intel SDM Vol. 2A, "FTST—TEST". */
export const ftst = instruction({
  mnemonic: "ftst",
  encodings: ["D9 =E4"],
  feature,
  semantics(ir) {
    beginX87(ir);
    setPointers(ir);
    const denormal = setScratch(ir, { significand: ir.const("i64", 0), head: ir.const("i32", 0) }, ir.const("i32", 0));
    compare(ir, ordered, ir.const("i32", State.scratch), ir.or(denormal, ir.zext(isStackEmpty(ir, 0), "i32")));
  },
});

/** FXAM — the class of ST(0) in C3, C2 and C0, its sign in C1. Intel SDM Vol. 2A, "FXAM—Examine Floating-Point". */
export const fxam = instruction({
  mnemonic: "fxam",
  encodings: ["D9 =E5"],
  feature,
  semantics(ir) {
    beginX87(ir);
    setPointers(ir);
    const a = unpackExtended(ir, readRegister(ir, stackSlot(ir, 0)));
    const { c0, c2, c3 } = Status;
    const classes: readonly (readonly [Value, number])[] = [
      [isStackEmpty(ir, 0), c3 | c0],
      [a.isUnsupported, 0],
      [a.isNan, c0],
      [a.isInfinity, c2 | c0],
      [a.isZero, c3],
      [a.isDenormal, c3 | c2],
    ];
    const code = classes.reduceRight(
      (otherwise, [holds, bits]) => ir.select(holds, ir.const("i32", bits), otherwise),
      ir.const("i32", c2),
    );
    const rest = ir.and(ir.get("i32", State.fsw), ~(conditions | Status.c1));
    ir.set(State.fsw, ir.or(rest, ir.or(code, ir.shl(a.sign, 9))));
  },
});
