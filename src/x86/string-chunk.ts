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

function smaller(ir: Semantics, a: Value, b: Value): Value {
  return ir.hold(ir.select(ir.ltu(a, b), a, b));
}

/** Bytes of the page from a linear address on; with DF set, those of the element there and below it. */
function room(ir: Semantics, type: Type, linear: Value, backward: Value): Value {
  const inPage = ir.and(ir.trunc(linear, "i32"), 0xfff);
  const end = ir.hold(ir.add(inPage, elementBytes(type)));
  const below = ir.select(ir.leu(end, 4096), end, ir.const("i32", 0));
  return ir.hold(ir.select(backward, below, ir.sub(4096, inPage)));
}

/** The bytes of `count` elements, at most a page. */
function bytesOfCount(ir: Semantics, type: Type, count: Value): Value {
  const few = ir.trunc(ir.select(ir.ltu(count, 4096), count, ir.const("i64", 4096)), "i32");
  return ir.hold(ir.shl(few, Math.log2(elementBytes(type))));
}

/** As many bytes as make whole elements. */
function wholeElements(ir: Semantics, type: Type, bytes: Value): Value {
  return ir.hold(ir.and(bytes, -elementBytes(type)));
}

/** Moves the registers on by `bytes`, takes the elements off rCX, and ends the instruction or this turn of it. */
function commit(
  ir: Semantics,
  type: Type,
  names: readonly ("rsi" | "rdi")[],
  bytes: Value,
  backward: Value,
  count: Value,
): void {
  const wide = ir.hold(ir.zext(bytes, "i64"));
  const by = ir.hold(ir.select(backward, ir.neg(wide), wide));
  for (const name of names) writeAddressed(ir, name, ir.add(readAddressed(ir, name), by));
  const rest = ir.hold(ir.sub(count, ir.shr(wide, Math.log2(elementBytes(type)))));
  writeAddressed(ir, "rcx", rest);
  ir.if(
    ir.eqz(rest),
    () => ir.end("next"),
    () => ir.end("again"),
  );
}

/** DF, as an i1. */
function isBackward(ir: Semantics): Value {
  return ir.hold(ir.ne(ir.and(ir.get("i32", State.flags), FlagBit.df), 0));
}

/** Runs `body` where every segment is flat, in an address size whose wrap-around cannot fall into a chunk unseen. */
function whenFlat(ir: Semantics, segments: readonly Slot[], body: () => void): void {
  if (addressBits(ir) === 16) return;
  if (ir.long) body();
  else
    ir.if(
      segments.map((segment) => isFlat(ir, segment)).reduce((all, each) => ir.and(all, each)),
      body,
    );
}

/** Whether `bytes` bytes at a 32-bit offset, or those of its element and below, do not wrap. */
function fits(ir: Semantics, type: Type, offset: Value, bytes: Value, backward: Value): Value {
  if (addressBits(ir) === 64) return ir.const("i1", 1);
  const wide = ir.zext(bytes, "i64");
  const ahead = ir.leu(ir.add(offset, wide), fourGigabytes);
  return ir.select(backward, ir.leu(wide, ir.add(offset, elementBytes(type))), ahead);
}

/**
 * Copies `bytes` bytes to `distance` bytes further on (below, when backward), where the destination begins inside the
 * source: what is copied repeats with that period, and what is there already can be copied again at once.
 */
function copyRepeating(ir: Semantics, type: Type, source: Value, distance: Value, bytes: Value, backward: Value): void {
  const top = ir.hold(ir.add(source, elementBytes(type)));
  const end = ir.hold(ir.add(bytes, distance));
  const known = ir.variable(distance);
  ir.loop((loop) => {
    const length = ir.read(known);
    ir.if(ir.eq(length, end), () => ir.break(loop));
    const part = smaller(ir, length, ir.sub(end, length));
    const from = ir.hold(ir.select(backward, ir.sub(top, part), source));
    ir.hostCopy(ir.select(backward, ir.sub(from, length), ir.add(from, length)), from, part);
    ir.assign(known, ir.add(length, part));
    ir.continue(loop);
  });
}

/**
 * Copies as many elements as lie in one page on both sides, and ends the instruction or this turn of it; does nothing where
 * the elements have to be moved one by one.
 */
export function copyChunk(ir: Semantics, type: Type, count: Value): void {
  const segment = ir.numbers.slot(ir, "segment");
  const element = ir.const("i32", elementBytes(type));
  whenFlat(ir, [segment, segmentSlot("es")], () => {
    const backward = isBackward(ir);
    const [si, di] = [readAddressed(ir, "rsi"), readAddressed(ir, "rdi")];
    const from = ir.hold(bulkAddress(ir, segment, si));
    const to = ir.hold(bulkAddress(ir, ir.long ? undefined : segmentSlot("es"), di));
    const pages = smaller(ir, room(ir, type, from, backward), room(ir, type, to, backward));
    const bytes = wholeElements(ir, type, smaller(ir, pages, bytesOfCount(ir, type, count)));
    const unwrapped = ir.and(fits(ir, type, si, bytes, backward), fits(ir, type, di, bytes, backward));
    ir.if(ir.and(ir.ne(bytes, 0), unwrapped), () => {
      const [source] = ir.call(mmu.hostRange, from, element, ir.const("i32", 0)) as [Value];
      ir.if(ir.ne(source, 0), () => {
        const [destination] = ir.call(mmu.hostRange, to, element, ir.const("i32", 1)) as [Value];
        const ahead = ir.hold(ir.sub(destination, source));
        const distance = ir.hold(ir.select(backward, ir.neg(ahead), ahead));
        const apart = ir.hold(ir.or(ir.leu(bytes, distance), ir.eqz(distance)));
        // An element that overlaps the next one's place is not a repetition of bytes.
        ir.if(ir.and(ir.ne(destination, 0), ir.or(apart, ir.leu(element, distance))), () => {
          const down = ir.hold(ir.select(backward, ir.sub(bytes, element), ir.const("i32", 0)));
          ir.if(
            apart,
            () => ir.hostCopy(ir.sub(destination, down), ir.sub(source, down), bytes),
            () => copyRepeating(ir, type, source, distance, bytes, backward),
          );
          commit(ir, type, ["rsi", "rdi"], bytes, backward, count);
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
  whenFlat(ir, [segmentSlot("es")], () => {
    const backward = isBackward(ir);
    const di = readAddressed(ir, "rdi");
    const to = ir.hold(bulkAddress(ir, ir.long ? undefined : segmentSlot("es"), di));
    const bytes = wholeElements(ir, type, smaller(ir, room(ir, type, to, backward), bytesOfCount(ir, type, count)));
    ir.if(ir.and(ir.ne(bytes, 0), fits(ir, type, di, bytes, backward)), () => {
      const [top] = ir.call(mmu.hostRange, to, ir.const("i32", elementBytes(type)), ir.const("i32", 1)) as [Value];
      ir.if(ir.ne(top, 0), () => {
        const host = ir.hold(ir.sub(top, ir.select(backward, ir.sub(bytes, elementBytes(type)), ir.const("i32", 0))));
        ir.if(
          ir.eqz(value),
          () => ir.hostFill(host, 0, bytes),
          () => fillWith(ir, value, host, bytes),
        );
        commit(ir, type, ["rdi"], bytes, backward, count);
      });
    });
  });
}
