import { instruction } from "../instruction.ts";

/** ADC — DEST ← DEST + SRC + CF. Intel SDM Vol. 2A, "ADC—Add With Carry". */
export const adc = instruction({
  mnemonic: "adc",
  encodings: [
    "10  Eb,Gb  lock",
    "11  Ev,Gv  lock",
    "12  Gb,Eb",
    "13  Gv,Ev",
    "14  AL,Ib",
    "15  rAX,Iz",
    "80 /2  Eb,Ib  lock",
    "82 /2  Eb,Ib  lock i64",
    "81 /2  Ev,Iz  lock",
    "83 /2  Ev,Ibs  lock",
  ],
  semantics(ir, destination, source) {
    const addend = source.read(destination.type);
    const carry = ir.hold(ir.zext(ir.flag("cf"), destination.type));
    const [augend, sum] = destination.update((before) => ir.add(ir.add(before, addend), carry));
    ir.flags.add(augend, addend, sum);
  },
});

/** SUB — DEST ← DEST − SRC. Intel SDM Vol. 2B, "SUB—Subtract". */
export const sub = instruction({
  mnemonic: "sub",
  encodings: [
    "28  Eb,Gb  lock",
    "29  Ev,Gv  lock",
    "2A  Gb,Eb",
    "2B  Gv,Ev",
    "2C  AL,Ib",
    "2D  rAX,Iz",
    "80 /5  Eb,Ib  lock",
    "82 /5  Eb,Ib  lock i64",
    "81 /5  Ev,Iz  lock",
    "83 /5  Ev,Ibs  lock",
  ],
  semantics(ir, destination, source) {
    const subtrahend = source.read(destination.type);
    const [minuend, difference] = destination.update((before) => ir.sub(before, subtrahend));
    ir.flags.sub(minuend, subtrahend, difference);
  },
});

/** SBB — DEST ← DEST − (SRC + CF). Intel SDM Vol. 2B, "SBB—Integer Subtraction With Borrow". */
export const sbb = instruction({
  mnemonic: "sbb",
  encodings: [
    "18  Eb,Gb  lock",
    "19  Ev,Gv  lock",
    "1A  Gb,Eb",
    "1B  Gv,Ev",
    "1C  AL,Ib",
    "1D  rAX,Iz",
    "80 /3  Eb,Ib  lock",
    "82 /3  Eb,Ib  lock i64",
    "81 /3  Ev,Iz  lock",
    "83 /3  Ev,Ibs  lock",
  ],
  semantics(ir, destination, source) {
    const subtrahend = source.read(destination.type);
    const borrow = ir.hold(ir.zext(ir.flag("cf"), destination.type));
    const [minuend, difference] = destination.update((before) => ir.sub(ir.sub(before, subtrahend), borrow));
    ir.flags.sub(minuend, subtrahend, difference);
  },
});

/** CMP — the flags of SRC1 − SRC2. Intel SDM Vol. 2A, "CMP—Compare Two Operands". */
export const cmp = instruction({
  mnemonic: "cmp",
  encodings: [
    "38  Eb,Gb",
    "39  Ev,Gv",
    "3A  Gb,Eb",
    "3B  Gv,Ev",
    "3C  AL,Ib",
    "3D  rAX,Iz",
    "80 /7  Eb,Ib",
    "82 /7  Eb,Ib  i64",
    "81 /7  Ev,Iz",
    "83 /7  Ev,Ibs",
  ],
  semantics(ir, first, second) {
    const minuend = first.read();
    const subtrahend = second.read(first.type);
    ir.flags.sub(minuend, subtrahend, ir.sub(minuend, subtrahend));
  },
});

/** INC — DEST ← DEST + 1; CF stays. Intel SDM Vol. 2A, "INC—Increment by 1". */
export const inc = instruction({
  mnemonic: "inc",
  encodings: ["FE /0  Eb  lock", "FF /0  Ev  lock", "40 +  Zv  i64"],
  semantics(ir, destination) {
    const [before, after] = destination.update((value) => ir.add(value, 1));
    ir.flags.inc(before, after);
  },
});

/** DEC — DEST ← DEST − 1; CF stays. Intel SDM Vol. 2A, "DEC—Decrement by 1". */
export const dec = instruction({
  mnemonic: "dec",
  encodings: ["FE /1  Eb  lock", "FF /1  Ev  lock", "48 +  Zv  i64"],
  semantics(ir, destination) {
    const [before, after] = destination.update((value) => ir.sub(value, 1));
    ir.flags.dec(before, after);
  },
});

/** NEG — DEST ← 0 − DEST. Intel SDM Vol. 2B, "NEG—Two's Complement Negation". */
export const neg = instruction({
  mnemonic: "neg",
  encodings: ["F6 /3  Eb  lock", "F7 /3  Ev  lock"],
  semantics(ir, destination) {
    const [before, after] = destination.update((value) => ir.neg(value));
    ir.flags.sub(ir.const(destination.type, 0), before, after);
  },
});
