import type { Value } from "../ir/node.ts";
import { bitsOf } from "../ir/types.ts";
import type { Type } from "../ir/types.ts";
import { addressBits, readAddressed, writeAddressed } from "./addressed-register.ts";
import { FlagBit } from "./eflags.ts";
import { mmu } from "./routines/mmu.ts";
import type { Slot } from "../ir/node.ts";
import type { Semantics } from "./semantics.ts";
import { SegmentField, State, segmentSlot } from "./state.ts";

/** REP MOVS and REP STOS a page at a time: what a chunk may be, and how it is done. */

export function elementBytes(type: Type): number {
  return bitsOf[type] / 8;
}

/** The linear address of the element at DS:rSI, or another segment by override. */
export function sourceAddress(ir: Semantics, type: Type): Value {
  return ir.hold(ir.linear(ir.numbers.slot(ir, "segment"), readAddressed(ir, "rsi"), elementBytes(type), "read"));
}

/** The linear address of the element at ES:rDI; nothing overrides ES. */
export function destinationAddress(ir: Semantics, type: Type, access: "read" | "write"): Value {
  const offset = readAddressed(ir, "rdi");
  return ir.hold(ir.long ? offset : ir.linear(segmentSlot("es"), offset, elementBytes(type), access));
}

const fourGigabytes = 1n << 32n;

/** The linear address of rSI or rDI for bulk use: no checks but {@link isFlat}. */
function bulkAddress(ir: Semantics, segment: Slot | undefined, offset: Value): Value {
  if (segment === undefined) return offset;
  const sum = ir.add(offset, ir.get("i64", segment));
  return ir.long ? sum : ir.and(sum, 0xffffffff);
}

/** A writable data segment that grows upward to 4 GiB: nothing in it needs a check. */
function isFlat(ir: Semantics, segment: Slot): Value {
  const field = (type: "i32" | "i16", offset: number) =>
    ir.get(type, typeof segment === "number" ? segment + offset : ir.add(segment, offset));
  const [present, code, expandDown, writable] = [0x80, 8, 4, 2];
  const kind = ir.and(field("i16", SegmentField.attributes), present | code | expandDown | writable);
  return ir.and(ir.eq(kind, present | writable), ir.eq(field("i32", SegmentField.limit), 0xffffffff));
}

/** Bytes from a linear address to the end of its page. */
function toPageEnd(ir: Semantics, linear: Value): Value {
  return ir.sub(4096, ir.and(ir.trunc(linear, "i32"), 0xfff));
}
function smaller(ir: Semantics, a: Value, b: Value): Value {
  return ir.hold(ir.select(ir.ltu(a, b), a, b));
}

/** The bytes of `count` elements, at most a page. */
function bytesOfCount(ir: Semantics, type: Type, count: Value): Value {
  const few = ir.trunc(ir.select(ir.ltu(count, 4096), count, ir.const("i64", 4096)), "i32");
  return ir.hold(ir.shl(few, Math.log2(elementBytes(type))));
}

/** Moves a register forward by `bytes`, and takes the elements off rCX. */
function commit(ir: Semantics, type: Type, names: readonly ("rsi" | "rdi")[], bytes: Value, count: Value): void {
  const wide = ir.hold(ir.zext(bytes, "i64"));
  for (const name of names) writeAddressed(ir, name, ir.add(readAddressed(ir, name), wide));
  const rest = ir.hold(ir.sub(count, ir.shr(wide, Math.log2(elementBytes(type)))));
  writeAddressed(ir, "rcx", rest);
  ir.if(
    ir.eqz(rest),
    () => ir.end("next"),
    () => ir.end("again"),
  );
}

/** Runs `body` with DF clear and every segment flat, in an address size whose wrap-around cannot fall into a chunk unseen. */
function whenForward(ir: Semantics, segments: readonly Slot[], body: () => void): void {
  if (addressBits(ir) === 16) return;
  const forward = ir.eqz(ir.and(ir.get("i32", State.flags), FlagBit.df));
  const flat = ir.long ? [] : segments.map((segment) => isFlat(ir, segment));
  ir.if(
    flat.reduce((all, each) => ir.and(all, each), forward),
    body,
  );
}

/** Whether `bytes` bytes at a 32-bit offset end below 4 GiB. */
function fits(ir: Semantics, offset: Value, bytes: Value): Value {
  if (addressBits(ir) === 64) return ir.const("i1", 1);
  return ir.leu(ir.add(offset, ir.zext(bytes, "i64")), fourGigabytes);
}

/**
 * Copies as many elements as lie in one page on both sides, and ends the instruction or this turn of it; does nothing where
 * the elements have to be moved one by one. A destination that begins inside the source repeats it, as bytes would.
 */
export function copyChunk(ir: Semantics, type: Type, count: Value): void {
  const segment = ir.numbers.slot(ir, "segment");
  whenForward(ir, [segment, segmentSlot("es")], () => {
    const [si, di] = [readAddressed(ir, "rsi"), readAddressed(ir, "rdi")];
    const from = ir.hold(bulkAddress(ir, segment, si));
    const to = ir.hold(bulkAddress(ir, ir.long ? undefined : segmentSlot("es"), di));
    const room = smaller(ir, toPageEnd(ir, from), toPageEnd(ir, to));
    const bytes = ir.hold(ir.and(smaller(ir, room, bytesOfCount(ir, type, count)), -elementBytes(type)));
    const possible = ir.and(ir.ne(bytes, 0), ir.and(fits(ir, si, bytes), fits(ir, di, bytes)));
    ir.if(possible, () => {
      const [source] = ir.call(mmu.hostRange, from, bytes, ir.const("i32", 0)) as [Value];
      ir.if(ir.ne(source, 0), () => {
        const [destination] = ir.call(mmu.hostRange, to, bytes, ir.const("i32", 1)) as [Value];
        const distance = ir.hold(ir.sub(destination, source));
        const apart = ir.or(ir.eqz(distance), ir.leu(bytes, distance));
        ir.if(ir.and(ir.ne(destination, 0), apart), () => {
          ir.hostCopy(destination, source, bytes);
          commit(ir, type, ["rsi", "rdi"], bytes, count);
        });
      });
    });
  });
}

/** Stores eight bytes of the repeated value at a time, then the elements that are left. */
function fillWith(ir: Semantics, value: Value, host: Value, bytes: Value): void {
  const { type } = value;
  const ones =
    type === "i8"
      ? 0x0101_0101_0101_0101n
      : type === "i16"
        ? 0x0001_0001_0001_0001n
        : type === "i32"
          ? 0x0000_0001_0000_0001n
          : 1n;
  const pattern = ir.hold(ir.mul(ir.zext(value, "i64"), ones));
  const end = ir.hold(ir.add(host, bytes));
  const lastWide = ir.hold(ir.add(host, ir.and(bytes, -8)));
  const at = ir.variable(host);
  const each = (limit: Value, stored: Value) =>
    ir.loop((loop) => {
      const now = ir.read(at);
      ir.if(ir.leu(limit, now), () => ir.break(loop));
      ir.hostStore(now, stored);
      ir.assign(at, ir.add(now, elementBytes(stored.type)));
      ir.continue(loop);
    });
  each(lastWide, pattern);
  if (type !== "i64") each(end, value);
}

/** Fills what remains of the page at ES:rDI, and ends the instruction or this turn of it; or does nothing, as copyChunk. */
export function fillChunk(ir: Semantics, value: Value, count: Value): void {
  const { type } = value;
  whenForward(ir, [segmentSlot("es")], () => {
    const di = readAddressed(ir, "rdi");
    const to = ir.hold(bulkAddress(ir, ir.long ? undefined : segmentSlot("es"), di));
    const bytes = ir.hold(ir.and(smaller(ir, toPageEnd(ir, to), bytesOfCount(ir, type, count)), -elementBytes(type)));
    ir.if(ir.and(ir.ne(bytes, 0), fits(ir, di, bytes)), () => {
      const [host] = ir.call(mmu.hostRange, to, bytes, ir.const("i32", 1)) as [Value];
      ir.if(ir.ne(host, 0), () => {
        ir.if(
          ir.eqz(value),
          () => ir.hostFill(host, 0, bytes),
          () => fillWith(ir, value, host, bytes),
        );
        commit(ir, type, ["rdi"], bytes, count);
      });
    });
  });
}
