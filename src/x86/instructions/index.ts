import type { Instruction } from "../instruction.ts";
import * as add from "./add.ts";
import * as mmxMove from "./mmx-move.ts";
import * as sseInsert from "./sse-insert.ts";
import * as sseInteger from "./sse-integer.ts";
import * as sseLogic from "./sse-logic.ts";
import * as sseMove from "./sse-move.ts";
import * as sseShift from "./sse-shift.ts";
import * as sseShuffle from "./sse-shuffle.ts";

/** The instruction set, a family a file. */
export const instructions: readonly Instruction[] = [
  add,
  mmxMove,
  sseInsert,
  sseInteger,
  sseLogic,
  sseMove,
  sseShift,
  sseShuffle,
].flatMap((family) => Object.values(family));
