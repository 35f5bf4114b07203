import { instruction } from "../instruction.ts";

/**
 * ADD — DEST ← DEST + SRC; OF, SF, ZF, AF, CF and PF follow the result.
 * Intel SDM Vol. 2A, "ADD—Add"; rows as in the opcode map, Vol. 2D, Tables.
 */
export const add = instruction({
  mnemonic: "add",
  encodings: [
    "00  Eb,Gb  lock",
    "01  Ev,Gv  lock",
    "02  Gb,Eb",
    "03  Gv,Ev",
    "04  AL,Ib",
    "05  rAX,Iz",
    "80 /0  Eb,Ib  lock",
    "82 /0  Eb,Ib  lock i64",
    "81 /0  Ev,Iz  lock",
    "83 /0  Ev,Ibs  lock",
  ],
  semantics(ir, destination, source) {
    const addend = source.read(destination.type);
    const [augend, sum] = destination.update((before) => ir.add(before, addend));
    ir.flags.add(augend, addend, sum);
  },
});
