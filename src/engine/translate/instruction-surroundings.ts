import type { Routine } from "../../ir/node.ts";
import type { Surroundings } from "../lower/lowering.ts";
import type { OpenNumber, Place } from "./passage.ts";
import type { RegisterSet } from "./register-set.ts";

/** What the lowering of one instruction leaves to the region that it will stand in. */
export interface InstructionSurroundings extends Surroundings {
  /** Registers have been written. */
  dirtied(registers: RegisterSet): void;
  /** Goes on at a place, or at the address in the target local. */
  goTo(place: Place | "target"): void;
  /** Puts the address of a place on the stack. */
  address(place: Place): void;
  /** Puts a number of the record on the stack. */
  number(number: OpenNumber): void;
  callRoutine(routine: Routine): void;
  /** Leaves the instruction to the interpreter where x87 and SSE instructions trap. */
  trapCheck(): void;
  /** Puts MXCSR on the stack, as a settled read has it. */
  mxcsr(): void;
  /** Puts a constant on the stack. */
  vector(value: bigint): void;
  /** Which translations are used may have changed. */
  reloadTlb(): void;
}
