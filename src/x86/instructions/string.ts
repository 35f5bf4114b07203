import type { Value } from "../../ir/node.ts";
import type { Type } from "../../ir/types.ts";
import { FlagBit } from "../eflags.ts";
import { Flag } from "../flags.ts";
import { instruction } from "../instruction.ts";
import { readAddressed, writeAddressed } from "../addressed-register.ts";
import type { Semantics } from "../semantics.ts";
import { State } from "../state.ts";
import { copyChunk, destinationAddress, elementBytes, fillChunk, sourceAddress } from "../string-chunk.ts";

/** Elements that a REP instruction handles one by one before it gives way to interrupts. */
const elementsPerTurn = 256;

/** What DF adds to rSI and rDI for one element. */
function step(ir: Semantics, type: Type): Value {
  const bytes = elementBytes(type);
  const backward = ir.and(ir.get("i32", State.flags), FlagBit.df);
  return ir.hold(ir.sext(ir.sub(bytes, ir.shr(backward, Flag.df - 1 - Math.log2(bytes))), "i64"));
}

function advance(ir: Semantics, name: "rsi" | "rdi", by: Value): void {
  writeAddressed(ir, name, ir.add(readAddressed(ir, name), by));
}

/**
 * Repeats `element`, which commits what it did, while rCX is not 0. A turn ends after some elements, for interrupts.
 * `chunk` does many elements at once where that is possible, and then ends the instruction or this turn of it.
 * Intel SDM Vol. 2B, "REP/REPE/REPZ/REPNE/REPNZ—Repeat String Operation Prefix".
 */
function repeat(ir: Semantics, element: () => void, chunk: (count: Value) => void = () => {}): void {
  if (ir.form.repeat === "none") {
    element();
    return;
  }
  const left = ir.variable(ir.const("i32", elementsPerTurn));
  ir.loop((loop) => {
    const count = readAddressed(ir, "rcx");
    ir.if(ir.eqz(count), () => ir.break(loop));
    chunk(count);
    element();
    writeAddressed(ir, "rcx", ir.sub(count, 1));
    const now = ir.hold(ir.sub(ir.read(left), 1));
    ir.assign(left, now);
    ir.if(ir.eqz(now), () => ir.end("again"));
    ir.continue(loop);
  });
}

function movs(ir: Semantics, type: Type): void {
  const by = step(ir, type);
  repeat(
    ir,
    () => {
      const value = ir.load(type, sourceAddress(ir, type));
      ir.store(destinationAddress(ir, type, "write"), value);
      advance(ir, "rsi", by);
      advance(ir, "rdi", by);
    },
    (count) => copyChunk(ir, type, count),
  );
}

/** MOVSB — ES:rDI ← DS:rSI. Intel SDM Vol. 2B, "MOVS/MOVSB/MOVSW/MOVSD/MOVSQ". */
export const movsb = instruction({
  mnemonic: "movsb",
  encodings: ["A4  -  rep asz"],
  semantics: (ir) => movs(ir, "i8"),
});
/** MOVSW, MOVSD, MOVSQ. */
export const movsv = instruction({
  mnemonic: "movs",
  encodings: ["A5  -  rep asz osz"],
  semantics: (ir) => movs(ir, ir.operandType),
});

function stos(ir: Semantics, type: Type): void {
  const by = step(ir, type);
  const value = ir.gpr("rax", type);
  repeat(
    ir,
    () => {
      ir.store(destinationAddress(ir, type, "write"), value);
      advance(ir, "rdi", by);
    },
    (count) => fillChunk(ir, value, count),
  );
}

/** STOSB — ES:rDI ← AL. Intel SDM Vol. 2B, "STOS/STOSB/STOSW/STOSD/STOSQ". */
export const stosb = instruction({
  mnemonic: "stosb",
  encodings: ["AA  -  rep asz"],
  semantics: (ir) => stos(ir, "i8"),
});
/** STOSW, STOSD, STOSQ. */
export const stosv = instruction({
  mnemonic: "stos",
  encodings: ["AB  -  rep asz osz"],
  semantics: (ir) => stos(ir, ir.operandType),
});

function lods(ir: Semantics, type: Type): void {
  const by = step(ir, type);
  repeat(ir, () => {
    ir.setGpr("rax", ir.load(type, sourceAddress(ir, type)));
    advance(ir, "rsi", by);
  });
}

/** LODSB — AL ← DS:rSI. Intel SDM Vol. 2A, "LODS/LODSB/LODSW/LODSD/LODSQ". */
export const lodsb = instruction({
  mnemonic: "lodsb",
  encodings: ["AC  -  rep asz"],
  semantics: (ir) => lods(ir, "i8"),
});
/** LODSW, LODSD, LODSQ. */
export const lodsv = instruction({
  mnemonic: "lods",
  encodings: ["AD  -  rep asz osz"],
  semantics: (ir) => lods(ir, ir.operandType),
});

/**
 * Repeats a comparison while rCX is not 0 and equality is what REPE or REPNE wants. The flags change with the last
 * element only: a fault before it leaves those from before the instruction, as the manual says.
 */
function repeatComparison(ir: Semantics, type: Type, compare: () => readonly [a: Value, b: Value]): void {
  const finish = (a: Value, b: Value) => ir.flags.sub(a, b, ir.sub(a, b));
  if (ir.form.repeat === "none") {
    finish(...compare());
    return;
  }
  const left = ir.variable(ir.const("i32", elementsPerTurn));
  const [first, second] = [ir.variable(ir.const(type, 0)), ir.variable(ir.const(type, 0))];
  const compared = ir.variable(ir.const("i1", 0));
  ir.loop((loop) => {
    const count = readAddressed(ir, "rcx");
    ir.if(ir.eqz(count), () => ir.break(loop));
    const [a, b] = compare();
    const rest = ir.hold(ir.sub(count, 1));
    writeAddressed(ir, "rcx", rest);
    const stop = ir.form.repeat === "rep" ? ir.ne(a, b) : ir.eq(a, b);
    ir.if(ir.or(stop, ir.eqz(rest)), () => {
      ir.assign(first, a);
      ir.assign(second, b);
      ir.assign(compared, ir.const("i1", 1));
      ir.break(loop);
    });
    const now = ir.hold(ir.sub(ir.read(left), 1));
    ir.assign(left, now);
    ir.if(ir.eqz(now), () => ir.end("again"));
    ir.continue(loop);
  });
  ir.if(ir.read(compared), () => finish(ir.read(first), ir.read(second)));
}

function cmps(ir: Semantics, type: Type): void {
  const by = step(ir, type);
  repeatComparison(ir, type, () => {
    // Where both fault, processors report the second operand.
    const second = ir.load(type, destinationAddress(ir, type, "read"));
    const first = ir.load(type, sourceAddress(ir, type));
    advance(ir, "rsi", by);
    advance(ir, "rdi", by);
    return [first, second];
  });
}

/** CMPSB — the flags of DS:rSI − ES:rDI. Intel SDM Vol. 2A, "CMPS/CMPSB/CMPSW/CMPSD/CMPSQ". */
export const cmpsb = instruction({
  mnemonic: "cmpsb",
  encodings: ["A6  -  rep asz"],
  semantics: (ir) => cmps(ir, "i8"),
});
/** CMPSW, CMPSD, CMPSQ. */
export const cmpsv = instruction({
  mnemonic: "cmps",
  encodings: ["A7  -  rep asz osz"],
  semantics: (ir) => cmps(ir, ir.operandType),
});

function scas(ir: Semantics, type: Type): void {
  const by = step(ir, type);
  const wanted = ir.gpr("rax", type);
  repeatComparison(ir, type, () => {
    const found = ir.load(type, destinationAddress(ir, type, "read"));
    advance(ir, "rdi", by);
    return [wanted, found];
  });
}

/** SCASB — the flags of AL − ES:rDI. Intel SDM Vol. 2B, "SCAS/SCASB/SCASW/SCASD/SCASQ". */
export const scasb = instruction({
  mnemonic: "scasb",
  encodings: ["AE  -  rep asz"],
  semantics: (ir) => scas(ir, "i8"),
});
/** SCASW, SCASD, SCASQ. */
export const scasv = instruction({
  mnemonic: "scas",
  encodings: ["AF  -  rep asz osz"],
  semantics: (ir) => scas(ir, ir.operandType),
});
