import { Builder, routine } from "../../ir/builder.ts";
import type { Value } from "../../ir/node.ts";
import { instruction } from "../instruction.ts";
import type { Operand } from "../operand.ts";
import type { Semantics } from "../semantics.ts";
import { Gpr, State, gprSlot } from "../state.ts";
import { enterMmx, requireMmx, writeMmx, zeroExtended } from "../vectors.ts";

/** Moves between MMX, XMM and general registers, and to memory byte by byte. */

/** MOVD and MOVQ between a general register or memory and an XMM or MMX register, whose rest becomes zero. */
function moveGeneral(ir: Semantics, destination: Operand, source: Operand): void {
  ir.requireSse();
  if (destination.type === "v128") destination.write(zeroExtended(ir, source.read()));
  else destination.write(source.read(destination.type));
}
function moveGeneralToMmx(ir: Semantics, destination: Operand, source: Operand): void {
  requireMmx(ir);
  writeMmx(ir, destination, ir.zext(source.read(), "i64"));
}
function moveMmxToGeneral(ir: Semantics, destination: Operand, source: Operand): void {
  requireMmx(ir);
  destination.write(source.read(destination.type));
  enterMmx(ir);
}

export const movdVector = instruction({
  mnemonic: "movd",
  feature: "SSE2",
  encodings: ["66 0F 6E  Vx,Ed  w0", "66 0F 7E  Ed,Vx  w0"],
  semantics: moveGeneral,
});
export const movqVectorGeneral = instruction({
  mnemonic: "movq",
  feature: "SSE2",
  encodings: ["66 0F 6E  Vx,Eq  w1", "66 0F 7E  Eq,Vx  w1"],
  semantics: moveGeneral,
});
export const movdToMmx = instruction({
  mnemonic: "movd",
  feature: "MMX",
  encodings: ["NP 0F 6E  Pq,Ed  w0"],
  semantics: moveGeneralToMmx,
});
export const movqToMmx = instruction({
  mnemonic: "movq",
  feature: "MMX",
  encodings: ["NP 0F 6E  Pq,Eq  w1"],
  semantics: moveGeneralToMmx,
});
export const movdFromMmx = instruction({
  mnemonic: "movd",
  feature: "MMX",
  encodings: ["NP 0F 7E  Ed,Pq  w0"],
  semantics: moveMmxToGeneral,
});
export const movqFromMmx = instruction({
  mnemonic: "movq",
  feature: "MMX",
  encodings: ["NP 0F 7E  Eq,Pq  w1"],
  semantics: moveMmxToGeneral,
});

export const movqMmx = instruction({
  mnemonic: "movq",
  feature: "MMX",
  encodings: ["NP 0F 6F  Pq,Qq", "NP 0F 7F  Qq,Pq"],
  semantics(ir, destination, source) {
    requireMmx(ir);
    if (destination.kind === "register") writeMmx(ir, destination, source.read());
    else {
      destination.write(source.read());
      enterMmx(ir);
    }
  },
});
export const movntq = instruction({
  mnemonic: "movntq",
  feature: "SSE",
  encodings: ["NP 0F E7  Mq,Pq"],
  semantics: moveMmxToGeneral,
});

/** Low halves of XMM registers; a register destination's high half becomes zero. */
export const movqVector = instruction({
  mnemonic: "movq",
  feature: "SSE2",
  encodings: ["F3 0F 7E  Vq,Wq", "66 0F D6  Wq,Vq"],
  semantics(ir, destination, source) {
    ir.requireSse();
    const value = source.read();
    if (destination.kind === "register") ir.set(destination.slot!, zeroExtended(ir, value));
    else destination.write(value);
  },
});
export const movq2dq = instruction({
  mnemonic: "movq2dq",
  feature: "SSE2",
  encodings: ["F3 0F D6  Vx,Nq"],
  semantics(ir, destination, source) {
    ir.requireSse();
    requireMmx(ir);
    destination.write(zeroExtended(ir, source.read()));
    enterMmx(ir);
  },
});
export const movdq2q = instruction({
  mnemonic: "movdq2q",
  feature: "SSE2",
  encodings: ["F2 0F D6  Pq,Uq"],
  semantics(ir, destination, source) {
    ir.requireSse();
    requireMmx(ir);
    writeMmx(ir, destination, source.read());
  },
});

/** Every register empty, and TOP 0. Intel SDM Vol. 3A, "Effects of MMX Instructions on x87 FPU State". */
export const emms = instruction({
  mnemonic: "emms",
  feature: "MMX",
  encodings: ["NP 0F 77  -"],
  semantics(ir) {
    requireMmx(ir);
    enterMmx(ir);
    ir.set(State.ftw, ir.const("i32", 0));
  },
});

/** maskedStore(address: i64, data: v128, mask: v128, bytes: i32): stores the bytes whose mask byte is negative. */
const maskedStore = routine(
  "maskedStore",
  { parameters: ["i64", "v128", "v128", "i32"], results: [], faults: true },
  () => new Builder(),
  (ir, address, data, mask, bytes) => {
    ir.set(State.scratch, data);
    const selected = ir.hold(ir.op("i8x16.bitmask", [mask]));
    const visit = (each: (address: Value, index: Value) => void) => {
      const index = ir.variable(ir.const("i32", 0));
      ir.loop((loop) => {
        const now = ir.read(index);
        ir.if(ir.leu(bytes, now), () => ir.break(loop));
        ir.if(ir.ne(ir.and(ir.shr(selected, now), 1), 0), () => each(ir.add(address, ir.zext(now, "i64")), now));
        ir.assign(index, ir.add(now, 1));
      });
    };
    // Where nothing is selected a fault is the processor's choice: MASKMOVQ has it.
    ir.if(ir.and(ir.eqz(selected), ir.eq(bytes, 8)), () => ir.probeWrite(address, 8));
    // The address that a page fault reports is that of the operand's first byte in the page, selected or not.
    visit((at) => {
      const page = ir.hold(ir.and(at, -4096n));
      ir.probeWrite(ir.select(ir.ltu(page, address), address, page), 1);
    });
    visit((at, index) => ir.store(at, ir.get("i8", ir.add(index, State.scratch))));
    ir.return();
  },
);

/** The linear address of DS:rDI, or with another segment as a prefix says. */
function maskedAddress(ir: Semantics, bytes: number): Value {
  const mask = (1n << BigInt(ir.form.addressSize)) - 1n;
  const offset = ir.and(ir.get("i64", gprSlot(Gpr.rdi)), mask);
  return ir.linear(ir.numbers.slot(ir, "segment"), offset, bytes, "write");
}
export const maskmovdqu = instruction({
  mnemonic: "maskmovdqu",
  feature: "SSE2",
  encodings: ["66 0F F7  Vx,Ux  asz"],
  semantics(ir, data, mask) {
    ir.requireSse();
    ir.call(maskedStore, maskedAddress(ir, 16), data.read(), mask.read(), ir.const("i32", 16));
  },
});
export const maskmovq = instruction({
  mnemonic: "maskmovq",
  feature: "SSE",
  encodings: ["NP 0F F7  Pq,Nq  asz"],
  semantics(ir, data, mask) {
    requireMmx(ir);
    const vectors = [data, mask].map((operand) => zeroExtended(ir, operand.read())) as [Value, Value];
    // Processors have changed the x87 state by the time a byte faults.
    enterMmx(ir);
    ir.call(maskedStore, maskedAddress(ir, 8), ...vectors, ir.const("i32", 8));
  },
});
