import type { Instruction } from "../instruction.ts";
import * as add from "./add.ts";
import * as arithmetic from "./arithmetic.ts";
import * as bitScan from "./bit-scan.ts";
import * as bitTest from "./bit-test.ts";
import * as branch from "./branch.ts";
import * as condition from "./condition.ts";
import * as convert from "./convert.ts";
import * as divide from "./divide.ts";
import * as exchange from "./exchange.ts";
import * as flagControl from "./flag-control.ts";
import * as logic from "./logic.ts";
import * as mmxMove from "./mmx-move.ts";
import * as move from "./move.ts";
import * as multiply from "./multiply.ts";
import * as nop from "./nop.ts";
import * as rotate from "./rotate.ts";
import * as shift from "./shift.ts";
import * as sseInsert from "./sse-insert.ts";
import * as sseInteger from "./sse-integer.ts";
import * as sseLogic from "./sse-logic.ts";
import * as sseMove from "./sse-move.ts";
import * as sseShift from "./sse-shift.ts";
import * as sseShuffle from "./sse-shuffle.ts";
import * as stack from "./stack.ts";
import * as string from "./string.ts";

/** The instruction set, a family a file. */
export const instructions: readonly Instruction[] = [
  add,
  arithmetic,
  bitScan,
  bitTest,
  branch,
  condition,
  convert,
  divide,
  exchange,
  flagControl,
  logic,
  mmxMove,
  move,
  multiply,
  nop,
  rotate,
  shift,
  sseInsert,
  sseInteger,
  sseLogic,
  sseMove,
  sseShift,
  sseShuffle,
  stack,
  string,
].flatMap((family) => Object.values(family));
