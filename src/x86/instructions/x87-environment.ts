import type { Value } from "../../ir/node.ts";
import { instruction } from "../instruction.ts";
import type { Operand } from "../operand.ts";
import {
  environmentBytes,
  loadEnvironment,
  loadRegisters,
  registerBytes,
  storeEnvironment,
  storeRegisters,
} from "../routines/x87-environment.ts";
import type { EnvironmentSize } from "../routines/x87-environment.ts";
import type { Semantics } from "../semantics.ts";
import { State } from "../state.ts";
import { beginX87, operandAddress } from "../x87-operands.ts";
import { initialise, updateSummary } from "./x87-control.ts";

/** The environment and the whole state to memory and back. */

const feature = "x87";
const allRegisters = 8 * registerBytes;

function sizeOf(ir: Semantics): EnvironmentSize {
  return ir.operandSize === 16 ? 16 : 32;
}
/** Whether real mode's layout is meant, an i32. */
function real(ir: Semantics): Value {
  return ir.long ? ir.const("i32", 0) : ir.zext(ir.eqz(ir.isProtected()), "i32");
}
/** An image of `bytes` bytes, found writable or readable. Its alignment is that of its first field. */
function image(ir: Semantics, operand: Operand, bytes: number, access: "read" | "write"): Value {
  const address = operandAddress(ir, operand, bytes, access);
  const size = sizeOf(ir);
  if (access === "write") {
    ir.probeWrite(address, size / 8);
    ir.probeWrite(address, bytes);
  } else {
    ir.load(size === 16 ? "i16" : "i32", address);
    // Where the image ends in another page, that page's first byte is what faults.
    const lastPage = ir.hold(ir.and(ir.add(address, bytes - 1), -4096n));
    ir.if(ir.ltu(address, lastPage), () => ir.load("i8", lastPage));
  }
  return address;
}

/** FNSTENV — then masks every exception. Intel SDM Vol. 2A, "FSTENV/FNSTENV—Store x87 FPU Environment". */
export const fnstenv = instruction({
  mnemonic: "fnstenv",
  encodings: ["D9 /6  M  osz"],
  feature,
  semantics(ir, destination) {
    ir.requireX87("x87");
    const size = sizeOf(ir);
    ir.call(storeEnvironment[size], image(ir, destination, environmentBytes[size], "write"), real(ir));
    ir.set(State.fcw, ir.or(ir.get("i32", State.fcw), 0x3f));
    updateSummary(ir);
  },
});

/** FLDENV. Intel SDM Vol. 2A, "FLDENV—Load x87 FPU Environment". */
export const fldenv = instruction({
  mnemonic: "fldenv",
  encodings: ["D9 /4  M  osz"],
  feature,
  semantics(ir, source) {
    beginX87(ir);
    const size = sizeOf(ir);
    ir.call(loadEnvironment[size], image(ir, source, environmentBytes[size], "read"), real(ir));
    updateSummary(ir);
  },
});

/** FNSAVE — then initialises the FPU. Intel SDM Vol. 2A, "FSAVE/FNSAVE—Store x87 FPU State". */
export const fnsave = instruction({
  mnemonic: "fnsave",
  encodings: ["DD /6  M  osz"],
  feature,
  semantics(ir, destination) {
    ir.requireX87("x87");
    const size = sizeOf(ir);
    const address = image(ir, destination, environmentBytes[size] + allRegisters, "write");
    ir.call(storeEnvironment[size], address, real(ir));
    ir.call(storeRegisters, ir.add(address, environmentBytes[size]));
    initialise(ir);
  },
});

/** FRSTOR. Intel SDM Vol. 2A, "FRSTOR—Restore x87 FPU State". */
export const frstor = instruction({
  mnemonic: "frstor",
  encodings: ["DD /4  M  osz"],
  feature,
  semantics(ir, source) {
    beginX87(ir);
    const size = sizeOf(ir);
    const address = image(ir, source, environmentBytes[size] + allRegisters, "read");
    ir.call(loadEnvironment[size], address, real(ir));
    ir.call(loadRegisters, ir.add(address, environmentBytes[size]));
    updateSummary(ir);
  },
});
