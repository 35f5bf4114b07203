import type { Value } from "../../ir/node.ts";
import { FlatAttributes, has, isCanonical, isLongModeActive, setFlat } from "../descriptors.ts";
import { FlagBit, isProtectionEnabled, readEflags, writeEflags } from "../eflags.ts";
import { Vector } from "../exceptions.ts";
import { instruction } from "../instruction.ts";
import { Efer } from "../paging.ts";
import type { Semantics } from "../semantics.ts";
import { Gpr, State, gprSlot, segmentSlot } from "../state.ts";

/** Loads CS and SS with flat segments, at privilege `cpl`; SS's selector is `stackOffset` above that of CS. */
function enterFlat(ir: Semantics, codeSelector: Value, stackSelector: Value, cpl: 0 | 3, code: number): void {
  const user = cpl === 3 ? FlatAttributes.user : 0;
  setFlat(ir, segmentSlot("cs"), codeSelector, code | user);
  setFlat(ir, segmentSlot("ss"), stackSelector, FlatAttributes.data | user);
  ir.set(State.cpl, ir.const("i32", cpl));
}

function requireSystemCalls(ir: Semantics): void {
  ir.if(ir.eqz(has(ir, ir.get("i64", State.efer), Efer.sce)), () => ir.fault(Vector.UD));
}
/** Sixteen bits of IA32_STAR as a selector. */
function starSelector(ir: Semantics, from: 32 | 48): Value {
  return ir.hold(ir.and(ir.trunc(ir.shr(ir.get("i64", State.star), from), "i32"), 0xffff));
}

/** SYSCALL — to ring 0 at IA32_LSTAR. Intel SDM Vol. 2B, "SYSCALL—Fast System Call": in 64-bit mode only. */
export const syscall = instruction({
  mnemonic: "syscall",
  encodings: ["0F 05  -  x64 system"],
  semantics(ir) {
    requireSystemCalls(ir);
    const flags = ir.hold(readEflags(ir));
    ir.setGpr("rcx", ir.nextRip());
    ir.setGpr("r11", ir.zext(flags, "i64"));
    writeEflags(ir, ir.and(flags, ir.not(ir.get("i32", State.fmask))), ir.const("i32", 0xffffffff));
    // CS's RPL is forced to 0; SS is just above what the register says.
    const selector = starSelector(ir, 32);
    const stack = ir.and(ir.add(selector, 8), 0xffff);
    enterFlat(ir, ir.and(selector, 0xfffc), stack, 0, FlatAttributes.code64);
    ir.set(State.rip, ir.get("i64", State.lstar));
    ir.set(State.noTrap, ir.and(ir.get("i32", State.fmask), FlagBit.tf));
    ir.end("resynchronise");
  },
});

/** What SYSRET takes from R11: neither RF nor VM. */
const returnedFlags = 0x3c7fd7;

/** SYSRET — to ring 3 at RCX, or with 32-bit operands at ECX in compatibility mode. Intel SDM Vol. 2B, "SYSRET—Return From Fast System Call". */
export const sysret = instruction({
  mnemonic: "sysret",
  flow: "away",
  encodings: ["0F 07  -  x64 osz system"],
  semantics(ir) {
    requireSystemCalls(ir);
    ir.requirePrivilege();
    const wide = ir.operandSize === 64;
    const target = ir.gpr("rcx");
    if (wide) ir.if(ir.eqz(isCanonical(ir, target)), () => ir.fault(Vector.GP, 0));
    writeEflags(ir, ir.and(ir.gpr("r11", "i32"), returnedFlags), ir.const("i32", 0xffffffff));
    const base = starSelector(ir, 48);
    const code = ir.or(wide ? ir.and(ir.add(base, 16), 0xffff) : base, 3);
    enterFlat(ir, code, ir.or(ir.add(base, 8), 3), 3, wide ? FlatAttributes.code64 : FlatAttributes.code32);
    ir.set(State.rip, wide ? target : ir.and(target, 0xffffffff));
    ir.end("resynchronise");
  },
});

/** #GP(0) in real mode or while IA32_SYSENTER_CS is null. @returns its selector. */
function sysenterSelector(ir: Semantics): Value {
  ir.if(ir.eqz(isProtectionEnabled(ir)), () => ir.fault(Vector.GP, 0));
  const selector = ir.hold(ir.and(ir.get("i32", State.sysenterCs), 0xfffc));
  ir.if(ir.eqz(selector), () => ir.fault(Vector.GP, 0));
  return selector;
}

/** SYSENTER — to ring 0 at IA32_SYSENTER_EIP. Intel SDM Vol. 2B, "SYSENTER—Fast System Call". */
export const sysenter = instruction({
  mnemonic: "sysenter",
  encodings: ["0F 34  -  system"],
  semantics(ir) {
    const selector = sysenterSelector(ir);
    ir.set(State.flags, ir.and(ir.get("i32", State.flags), ~(FlagBit.vm | FlagBit.if | FlagBit.rf)));
    const [pointer, target] = [ir.get("i64", State.sysenterEsp), ir.get("i64", State.sysenterEip)];
    const long = ir.hold(isLongModeActive(ir));
    const mask = ir.hold(ir.select(long, ir.const("i64", -1), ir.const("i64", 0xffffffff)));
    ir.setGpr("rsp", ir.and(pointer, mask));
    ir.if(
      long,
      () => enterFlat(ir, selector, ir.add(selector, 8), 0, FlatAttributes.code64),
      () => enterFlat(ir, selector, ir.add(selector, 8), 0, FlatAttributes.code32),
    );
    ir.set(State.rip, ir.and(target, mask));
    ir.end("resynchronise");
  },
});

/** SYSEXIT — to ring 3 at RDX with the stack at RCX. Intel SDM Vol. 2B, "SYSEXIT—Fast Return from Fast System Call". */
export const sysexit = instruction({
  mnemonic: "sysexit",
  flow: "away",
  encodings: ["0F 35  -  osz system"],
  semantics(ir) {
    const base = sysenterSelector(ir);
    ir.requirePrivilege();
    const wide = ir.operandSize === 64;
    const [pointer, target] = [ir.gpr("rcx"), ir.gpr("rdx")];
    if (wide) ir.if(ir.eqz(ir.and(isCanonical(ir, pointer), isCanonical(ir, target))), () => ir.fault(Vector.GP, 0));
    const part = (value: Value) => (wide ? value : ir.and(value, 0xffffffff));
    ir.set(gprSlot(Gpr.rsp), part(pointer));
    const code = ir.or(ir.add(base, wide ? 32 : 16), 3);
    const stack = ir.or(ir.add(base, wide ? 40 : 24), 3);
    enterFlat(ir, code, stack, 3, wide ? FlatAttributes.code64 : FlatAttributes.code32);
    ir.set(State.rip, part(target));
    ir.end("resynchronise");
  },
});
