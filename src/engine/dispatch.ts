/** What the dispatcher and those who fill its tables agree on: case numbers, endings, the record hash. */

import { DomainLayout } from "./layout.ts";

/** What the dispatcher does with a record: its case numbers. The hot forms follow. */
export const Handler = {
  /** Calls the form through the table. */
  form: 0,
  /** Looks the instruction at this record's page offset up anew: ends of blocks, and records that were dropped. */
  lookUp: 1,
  /** Raises the exception whose vector is the immediate: bytes that are no instruction. */
  raise: 2,
  /**
   * Guards the record behind it, of an instruction that goes on in the next page: the immediate is the byte address of
   * the frame that the page must lead to, the displacement that of the instruction.
   */
  crossing: 3,
  /** Goes on at the page offset in the immediate, as a jump that is no instruction: where blocks meet. */
  goto: 4,
  /**
   * Stands before a record that can be entered from elsewhere, and counts how often that happens: the immediate counts down,
   * and at 0 the code is to be translated. The displacement is the code's byte address, immediate2 its mode.
   */
  head: 5,
  /** A head whose code is translated: calls the region in the form's slot, at the entry whose number is the immediate. */
  region: 6,
  /** The first of the hot forms. */
  hot: 7,
} as const;

/**
 * Slots of the function table from here on are regions', those below are forms'. There are fewer than 10,000 forms: a guest that
 * executes all of them does not reach it.
 */
export const firstRegionSlot = 1 << 14;

/** Where an instruction's code is: the dispatcher's case, and for {@link Handler.form} the slot of the function table. */
export interface Place {
  readonly handler: number;
  readonly form: number;
}

/** Why the dispatcher returned. */
export const Return = {
  /** The budget is used up or somebody wants attention. */
  budget: 0,
  /** No record for rip: its byte address in linear memory is in State.dispatchFrame. */
  decode: 1,
  /** An instruction wants the hypervisor: State.exitReason. */
  exit: 2,
  tripleFault: 3,
  interruptWindow: 4,
  /** A page-crossing instruction at State.dispatchFrame; its second frame is in State.dispatchSecond. */
  crossing: 5,
  /** The head at State.dispatchRecord has counted to 0. */
  hot: 6,
  /** Where tiers are compared: the region at State.dispatchRecord is to be; and an exception that was not delivered. */
  check: 7,
  fault: 8,
} as const;

/** What a region says besides an Ending: the record at State.dispatchRecord is to be executed, and those behind it. */
export const interpret = 6;

/** Bit of the mode word: one instruction at a time. */
export const singleBit = 4;

/** What one chunk of a REP instruction takes from the budget, in instructions, without retiring any. */
export const repeatCost = 64;
export const hashShift = 13;

/** The index in the record hash of code at a byte address of linear memory, in a mode. */
export function hashIndex(address: number, mode: number): number {
  return ((address ^ (address >>> hashShift) ^ (mode << 9)) & (DomainLayout.hashEntries - 1)) >>> 0;
}
