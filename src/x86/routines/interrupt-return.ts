import { Builder, routine } from "../../ir/builder.ts";
import type { Routine, Value } from "../../ir/node.ts";
import { isLongModeActive, segmentField, setSegment, virtual8086Attributes } from "../descriptors.ts";
import { FlagBit, changeableFlags, iopl, isProtectionEnabled, isVirtual8086, writeEflags } from "../eflags.ts";
import { Vector } from "../exceptions.ts";
import { Gpr, State, gprSlot, segmentSlot } from "../state.ts";
import {
  checkOffset,
  checkReturn,
  checkReturnStack,
  dropInnerSegments,
  entersLong,
  findCode,
  setCode,
} from "./code-segment.ts";
import { markAccessed } from "./descriptor.ts";
import { EventKind, interrupt } from "./interrupt.ts";
import { currentStack, readStack, setCurrentPointer, setStackPointer } from "./stack.ts";
import { enterTask } from "./task-gate.ts";
import { TaskSwitch } from "./task-switch.ts";

type Size = 16 | 32 | 64;
const rsp = gprSlot(Gpr.rsp);

function low32(ir: Builder, value: Value): Value {
  return ir.trunc(value, "i32");
}
function selector(ir: Builder, value: Value): Value {
  return ir.hold(ir.and(ir.trunc(value, "i32"), 0xffff));
}

/**
 * IRET in 64-bit mode: SS and RSP are popped whatever the privilege.
 * Intel SDM Vol. 2A, "IRET/IRETD/IRETQ—Interrupt Return", IA-32e-MODE.
 */
function longReturn(size: Size): Routine {
  return routine(
    `iretLong${size}`,
    { parameters: [], results: [], faults: true },
    () => new Builder(),
    (ir) => {
      ir.if(ir.ne(ir.and(ir.get("i32", State.flags), FlagBit.nt), 0), () => ir.fault(Vector.GP, 0));
      const pointer = ir.get("i64", rsp);
      const word = (index: number) => {
        const value = ir.load(size === 16 ? "i16" : size === 32 ? "i32" : "i64", ir.add(pointer, (index * size) / 8), {
          stack: true,
        });
        return ir.zext(value, "i64");
      };
      const [rip, cs, flags, newPointer, ss] = [
        word(0),
        selector(ir, word(1)),
        low32(ir, word(2)),
        word(3),
        selector(ir, word(4)),
      ];
      const cpl = ir.get("i32", State.cpl);
      const code = findCode(ir, cs);
      checkReturn(ir, code, cpl);
      const rpl = ir.hold(ir.and(cs, 3));
      const loadStack = checkReturnStack(ir, ss, code, rpl);
      checkOffset(ir, code, rip);
      markAccessed(ir, code.found);
      writeEflags(ir, flags, changeableFlags(ir, size, cpl));
      ir.set(State.cpl, rpl);
      setCode(ir, code, rpl);
      loadStack();
      ir.if(
        entersLong(ir, code),
        () => ir.set(rsp, newPointer),
        () => setStackPointer(ir, currentStack(ir), newPointer),
      );
      ir.if(ir.ltu(cpl, rpl), () => dropInnerSegments(ir));
      ir.set(State.rip, rip);
      ir.end("resynchronise");
    },
  );
}

/** IRET in real and virtual-8086 mode: EIP, CS and EFLAGS, without a look at tables. */
function realReturn(ir: Builder, size: Size, ip: Value, cs: Value, flags: Value): void {
  const slot = segmentSlot("cs");
  const limit = ir.get("i32", segmentField(ir, slot, "limit"));
  ir.if(ir.ltu(ir.zext(limit, "i64"), ip), () => ir.fault(Vector.GP, 0));
  const attributes = ir.zext(ir.get("i16", segmentField(ir, slot, "attributes")), "i32");
  setSegment(ir, slot, { selector: cs, base: ir.zext(ir.shl(cs, 4), "i64"), limit, attributes });
  setStackPointer(ir, currentStack(ir), ir.add(ir.get("i64", rsp), (3 * size) / 8));
  const wide = size === 16 ? 0 : FlagBit.ac | FlagBit.id;
  const always = FlagBit.tf | FlagBit.if | FlagBit.df | FlagBit.nt | wide;
  // Virtual-8086 mode keeps IOPL.
  const mask = ir.select(isVirtual8086(ir), ir.const("i32", always), ir.const("i32", always | FlagBit.iopl));
  writeEflags(ir, flags, mask);
  ir.set(State.rip, ip);
  ir.end("resynchronise");
}

/** IRETD at CPL 0 whose EFLAGS image has VM: into virtual-8086 mode. */
function virtualReturn(ir: Builder, ip: Value, cs: Value, flags: Value): void {
  ir.if(ir.ltu(0xffff, ip), () => ir.fault(Vector.GP, 0));
  const [esp, ...selectors] = readStack(ir, 32, 6, 12);
  const load = (name: "ss" | "es" | "ds" | "fs" | "gs" | "cs", value: Value) =>
    setSegment(ir, segmentSlot(name), {
      selector: value,
      base: ir.zext(ir.shl(value, 4), "i64"),
      limit: ir.const("i32", 0xffff),
      attributes: ir.const("i32", virtual8086Attributes),
    });
  load("cs", cs);
  (["ss", "es", "ds", "fs", "gs"] as const).forEach((name, index) => load(name, selector(ir, selectors[index]!)));
  ir.set(rsp, ir.and(esp!, 0xffffffff));
  const all =
    FlagBit.tf |
    FlagBit.if |
    FlagBit.df |
    FlagBit.nt |
    FlagBit.iopl |
    FlagBit.vm |
    FlagBit.ac |
    FlagBit.vif |
    FlagBit.vip |
    FlagBit.id;
  writeEflags(ir, flags, ir.const("i32", all));
  ir.set(State.cpl, ir.const("i32", 3));
  ir.set(State.rip, ip);
  ir.end("resynchronise");
}

/** IRET with NT: to the task that this one is nested in. Not in IA-32e mode. */
function leaveTask(ir: Builder): void {
  ir.if(isLongModeActive(ir), () => ir.fault(Vector.GP, 0));
  const link = ir.zext(ir.load("i16", ir.get("i64", segmentSlot("tr")), { system: true }), "i32");
  const transfer = { kind: TaskSwitch.return, external: ir.const("i32", 0), errorCode: ir.const("i32", -1) };
  const [vector, code] = enterTask(ir, link, "busy", transfer);
  ir.if(ir.les(0, vector), () => ir.call(interrupt, vector, code, ir.const("i32", EventKind.hardware)));
  ir.end("resynchronise");
}

/** IRET in every mode but 64-bit mode. */
function legacyReturn(size: 16 | 32): Routine {
  return routine(
    `iretLegacy${size}`,
    { parameters: [], results: [], faults: true },
    () => new Builder(),
    (ir) => {
      const protectedMode = ir.hold(isProtectionEnabled(ir));
      const virtual = ir.hold(isVirtual8086(ir));
      ir.if(ir.and(virtual, ir.ne(iopl(ir), 3)), () => ir.fault(Vector.GP, 0));
      const plain = ir.and(protectedMode, ir.eqz(virtual));
      ir.if(ir.and(plain, ir.ne(ir.and(ir.get("i32", State.flags), FlagBit.nt), 0)), () => leaveTask(ir));
      const words = readStack(ir, size, 3);
      const [ip, cs, flags] = [words[0]!, selector(ir, words[1]!), low32(ir, words[2]!)];
      ir.if(ir.or(ir.eqz(protectedMode), virtual), () => realReturn(ir, size, ip, cs, flags));
      const cpl = ir.get("i32", State.cpl);
      if (size === 32) {
        const wanted = ir.and(ir.ne(ir.and(flags, FlagBit.vm), 0), ir.eqz(cpl));
        const long = ir.ne(ir.and(ir.get("i64", State.efer), 1 << 10), 0);
        ir.if(ir.and(wanted, ir.eqz(long)), () => virtualReturn(ir, ip, cs, flags));
      }
      const code = findCode(ir, cs);
      checkReturn(ir, code, cpl);
      const rpl = ir.hold(ir.and(cs, 3));
      const mask = ir.hold(changeableFlags(ir, size, cpl));
      ir.if(
        ir.eq(rpl, cpl),
        () => {
          checkOffset(ir, code, ip);
          markAccessed(ir, code.found);
          setCurrentPointer(ir, ir.add(ir.get("i64", rsp), (3 * size) / 8));
          setCode(ir, code, rpl);
        },
        () => {
          const [newPointer, newStack] = readStack(ir, size, 2, (3 * size) / 8);
          const loadStack = checkReturnStack(ir, selector(ir, newStack!), code, rpl);
          checkOffset(ir, code, ip);
          markAccessed(ir, code.found);
          ir.set(State.cpl, rpl);
          setCode(ir, code, rpl);
          loadStack();
          ir.if(
            entersLong(ir, code),
            () => ir.set(rsp, newPointer!),
            () => setStackPointer(ir, currentStack(ir), newPointer!),
          );
          dropInnerSegments(ir);
        },
      );
      writeEflags(ir, flags, mask);
      ir.set(State.rip, ip);
      ir.end("resynchronise");
    },
  );
}

/** Each ends the instruction: RIP, CS, RFLAGS and, where they are popped, RSP and SS are loaded. */
export const interruptReturn = {
  long: { 16: longReturn(16), 32: longReturn(32), 64: longReturn(64) },
  legacy: { 16: legacyReturn(16), 32: legacyReturn(32) },
} as const;
