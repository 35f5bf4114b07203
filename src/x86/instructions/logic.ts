import { instruction } from "../instruction.ts";

/** AND — DEST ← DEST AND SRC; CF and OF are cleared. Intel SDM Vol. 2A, "AND—Logical AND". */
export const and = instruction({
  mnemonic: "and",
  encodings: [
    "20  Eb,Gb  lock",
    "21  Ev,Gv  lock",
    "22  Gb,Eb",
    "23  Gv,Ev",
    "24  AL,Ib",
    "25  rAX,Iz",
    "80 /4  Eb,Ib  lock",
    "82 /4  Eb,Ib  lock i64",
    "81 /4  Ev,Iz  lock",
    "83 /4  Ev,Ibs  lock",
  ],
  undefinedFlags: ["af"],
  semantics(ir, destination, source) {
    const mask = source.read(destination.type);
    const [, after] = destination.update((before) => ir.and(before, mask));
    ir.flags.logic(after);
  },
});

/** OR — DEST ← DEST OR SRC; CF and OF are cleared. Intel SDM Vol. 2B, "OR—Logical Inclusive OR". */
export const or = instruction({
  mnemonic: "or",
  encodings: [
    "08  Eb,Gb  lock",
    "09  Ev,Gv  lock",
    "0A  Gb,Eb",
    "0B  Gv,Ev",
    "0C  AL,Ib",
    "0D  rAX,Iz",
    "80 /1  Eb,Ib  lock",
    "82 /1  Eb,Ib  lock i64",
    "81 /1  Ev,Iz  lock",
    "83 /1  Ev,Ibs  lock",
  ],
  undefinedFlags: ["af"],
  semantics(ir, destination, source) {
    const bits = source.read(destination.type);
    const [, after] = destination.update((before) => ir.or(before, bits));
    ir.flags.logic(after);
  },
});

/** XOR — DEST ← DEST XOR SRC; CF and OF are cleared. Intel SDM Vol. 2D, "XOR—Logical Exclusive OR". */
export const xor = instruction({
  mnemonic: "xor",
  encodings: [
    "30  Eb,Gb  lock",
    "31  Ev,Gv  lock",
    "32  Gb,Eb",
    "33  Gv,Ev",
    "34  AL,Ib",
    "35  rAX,Iz",
    "80 /6  Eb,Ib  lock",
    "82 /6  Eb,Ib  lock i64",
    "81 /6  Ev,Iz  lock",
    "83 /6  Ev,Ibs  lock",
  ],
  undefinedFlags: ["af"],
  semantics(ir, destination, source) {
    const bits = source.read(destination.type);
    const [, after] = destination.update((before) => ir.xor(before, bits));
    ir.flags.logic(after);
  },
});

/** TEST — the flags of SRC1 AND SRC2. Intel SDM Vol. 2B, "TEST—Logical Compare"; /1 is an alias of /0. */
export const test = instruction({
  mnemonic: "test",
  encodings: [
    "84  Eb,Gb",
    "85  Ev,Gv",
    "A8  AL,Ib",
    "A9  rAX,Iz",
    "F6 /0  Eb,Ib",
    "F6 /1  Eb,Ib",
    "F7 /0  Ev,Iz",
    "F7 /1  Ev,Iz",
  ],
  undefinedFlags: ["af"],
  semantics(ir, first, second) {
    const value = first.read();
    ir.flags.logic(ir.and(value, second.read(first.type)));
  },
});

/** NOT — DEST ← NOT DEST; no flags. Intel SDM Vol. 2B, "NOT—One's Complement Negation". */
export const not = instruction({
  mnemonic: "not",
  encodings: ["F6 /2  Eb  lock", "F7 /2  Ev  lock"],
  semantics(ir, destination) {
    destination.update((before) => ir.not(before));
  },
});
