import { instruction } from "../instruction.ts";
import type { Operand } from "../operand.ts";
import type { Semantics } from "../semantics.ts";
import { slotAt } from "../vectors.ts";
import { storeLow, vectorOperand } from "./sse-shapes.ts";

/**
 * Moves between XMM registers and memory. Intel SDM Vol. 2, "MOVAPS" to "MOVUPD".
 * A misaligned operand of 16 bytes is #GP(0) except where the name has a U.
 */

function move(ir: Semantics, destination: Operand, source: Operand): void {
  ir.requireSse();
  destination.write(source.read());
}

function moveUnaligned(ir: Semantics, destination: Operand, source: Operand): void {
  ir.requireSse();
  destination.unaligned().write(source.unaligned().read());
}

/** A scalar: loaded, the rest of the register becomes zero; between registers, it is kept. */
function moveScalar(ir: Semantics, destination: Operand, source: Operand): void {
  ir.requireSse();
  if (source.kind === "memory") ir.set(destination.slot!, vectorOperand(ir, source));
  else if (destination.kind === "memory") storeLow(ir, destination, source);
  else destination.write(source.read());
}

export const movaps = instruction({
  mnemonic: "movaps",
  feature: "SSE",
  encodings: ["NP 0F 28  Vx,Wx", "NP 0F 29  Wx,Vx"],
  semantics: move,
});
export const movapd = instruction({
  mnemonic: "movapd",
  feature: "SSE2",
  encodings: ["66 0F 28  Vx,Wx", "66 0F 29  Wx,Vx"],
  semantics: move,
});
export const movdqa = instruction({
  mnemonic: "movdqa",
  feature: "SSE2",
  encodings: ["66 0F 6F  Vx,Wx", "66 0F 7F  Wx,Vx"],
  semantics: move,
});
export const movups = instruction({
  mnemonic: "movups",
  feature: "SSE",
  encodings: ["NP 0F 10  Vx,Wx", "NP 0F 11  Wx,Vx"],
  semantics: moveUnaligned,
});
export const movupd = instruction({
  mnemonic: "movupd",
  feature: "SSE2",
  encodings: ["66 0F 10  Vx,Wx", "66 0F 11  Wx,Vx"],
  semantics: moveUnaligned,
});
export const movdqu = instruction({
  mnemonic: "movdqu",
  feature: "SSE2",
  encodings: ["F3 0F 6F  Vx,Wx", "F3 0F 7F  Wx,Vx"],
  semantics: moveUnaligned,
});
export const lddqu = instruction({
  mnemonic: "lddqu",
  feature: "SSE3",
  encodings: ["F2 0F F0  Vx,Mx"],
  semantics: moveUnaligned,
});

/** Stores past the caches, and a load: nothing but a hint here. */
export const movntps = instruction({
  mnemonic: "movntps",
  feature: "SSE",
  encodings: ["NP 0F 2B  Mx,Vx"],
  semantics: move,
});
export const movntpd = instruction({
  mnemonic: "movntpd",
  feature: "SSE2",
  encodings: ["66 0F 2B  Mx,Vx"],
  semantics: move,
});
export const movntdq = instruction({
  mnemonic: "movntdq",
  feature: "SSE2",
  encodings: ["66 0F E7  Mx,Vx"],
  semantics: move,
});
export const movntdqa = instruction({
  mnemonic: "movntdqa",
  feature: "SSE4_1",
  encodings: ["66 0F 38 2A  Vx,Mx"],
  semantics: move,
});

/** From a general register: no SSE state is involved. */
export const movnti = instruction({
  mnemonic: "movnti",
  feature: "SSE2",
  encodings: ["NP 0F C3  My,Gy"],
  semantics(_, destination, source) {
    destination.write(source.read());
  },
});

export const movss = instruction({
  mnemonic: "movss",
  feature: "SSE",
  encodings: ["F3 0F 10  Vd,Wd", "F3 0F 11  Wd,Vd"],
  semantics: moveScalar,
});
export const movsd = instruction({
  mnemonic: "movsd",
  feature: "SSE2",
  encodings: ["F2 0F 10  Vq,Wq", "F2 0F 11  Wq,Vq"],
  semantics: moveScalar,
});

/** Low halves. */
export const movlps = instruction({
  mnemonic: "movlps",
  feature: "SSE",
  encodings: ["NP 0F 12  Vq,Mq", "NP 0F 13  Mq,Vq"],
  semantics: move,
});
export const movlpd = instruction({
  mnemonic: "movlpd",
  feature: "SSE2",
  encodings: ["66 0F 12  Vq,Mq", "66 0F 13  Mq,Vq"],
  semantics: move,
});

/** High halves: the register operand's is at offset 8. */
function moveHigh(ir: Semantics, destination: Operand, source: Operand): void {
  ir.requireSse();
  if (destination.kind === "register") ir.set(slotAt(ir, destination.slot!, 8), source.read());
  else destination.write(ir.get("i64", slotAt(ir, source.slot!, 8)));
}
export const movhps = instruction({
  mnemonic: "movhps",
  feature: "SSE",
  encodings: ["NP 0F 16  Vq,Mq", "NP 0F 17  Mq,Vq"],
  semantics: moveHigh,
});
export const movhpd = instruction({
  mnemonic: "movhpd",
  feature: "SSE2",
  encodings: ["66 0F 16  Vq,Mq", "66 0F 17  Mq,Vq"],
  semantics: moveHigh,
});

/** Between the halves of two registers. */
export const movlhps = instruction({
  mnemonic: "movlhps",
  feature: "SSE",
  encodings: ["NP 0F 16  Vq,Uq"],
  semantics: moveHigh,
});
export const movhlps = instruction({
  mnemonic: "movhlps",
  feature: "SSE",
  encodings: ["NP 0F 12  Vq,Uq"],
  semantics(ir, destination, source) {
    ir.requireSse();
    destination.write(ir.get("i64", slotAt(ir, source.slot!, 8)));
  },
});

/** Copies of lanes: DEST[i] ← SRC[lanes[i]], in units of 4 bytes. */
function duplicate(ir: Semantics, destination: Operand, source: Operand, lanes: readonly number[]): void {
  ir.requireSse();
  const value = source.read();
  const vector = value.type === "i64" ? ir.op("i64x2.splat", [value]) : value;
  destination.write(
    ir.shuffle(
      vector,
      vector,
      lanes.flatMap((lane) => [0, 1, 2, 3].map((byte) => lane * 4 + byte)),
    ),
  );
}
export const movddup = instruction({
  mnemonic: "movddup",
  feature: "SSE3",
  encodings: ["F2 0F 12  Vx,Wq"],
  semantics: (ir, destination, source) => duplicate(ir, destination, source, [0, 1, 0, 1]),
});
export const movsldup = instruction({
  mnemonic: "movsldup",
  feature: "SSE3",
  encodings: ["F3 0F 12  Vx,Wx"],
  semantics: (ir, destination, source) => duplicate(ir, destination, source, [0, 0, 2, 2]),
});
export const movshdup = instruction({
  mnemonic: "movshdup",
  feature: "SSE3",
  encodings: ["F3 0F 16  Vx,Wx"],
  semantics: (ir, destination, source) => duplicate(ir, destination, source, [1, 1, 3, 3]),
});

/** The lanes' signs, as a number. */
export const movmskps = instruction({
  mnemonic: "movmskps",
  feature: "SSE",
  encodings: ["NP 0F 50  Gd,Ux"],
  semantics(ir, destination, source) {
    ir.requireSse();
    destination.write(ir.op("i32x4.bitmask", [source.read()]));
  },
});
export const movmskpd = instruction({
  mnemonic: "movmskpd",
  feature: "SSE2",
  encodings: ["66 0F 50  Gd,Ux"],
  semantics(ir, destination, source) {
    ir.requireSse();
    destination.write(ir.op("i64x2.bitmask", [source.read()]));
  },
});

/** The lane that an immediate selects, in a register or stored. */
export const extractps = instruction({
  mnemonic: "extractps",
  feature: "SSE4_1",
  encodings: ["66 0F 3A 17  Ed,Vx,Ib"],
  semantics(ir, destination, source, lane) {
    ir.requireSse();
    const offset = ir.shl(ir.and(lane.read("i32"), 3), 2);
    destination.write(ir.get("i32", slotAt(ir, source.slot!, offset)));
  },
});

/** INSERTPS: bits 7–6 of the immediate choose the source's lane, 5–4 the destination's; 3–0 are lanes to clear. */
export const insertps = instruction({
  mnemonic: "insertps",
  feature: "SSE4_1",
  encodings: ["66 0F 3A 21  Vx,Ux,Ib", "66 0F 3A 21  Vx,Md,Ib"],
  semantics(ir, destination, source, immediate) {
    ir.requireSse();
    const control = immediate.read("i32");
    const lane = (shift: number) => ir.shl(ir.and(ir.shr(control, shift), 3), 2);
    const inserted = source.kind === "memory" ? source.read() : ir.get("i32", slotAt(ir, source.slot!, lane(6)));
    ir.set(slotAt(ir, destination.slot!, lane(4)), inserted);
    const bits = ir.op("i32x4.splat", [control]);
    const places = ir.const("v128", 1n | (2n << 32n) | (4n << 64n) | (8n << 96n));
    const kept = ir.op("i32x4.eq", [ir.op("v128.and", [bits, places]), ir.const("v128", 0)]);
    destination.write(ir.op("v128.and", [destination.read(), kept]));
  },
});
