import type { Instruction } from "../instruction.ts";
import * as add from "./add.ts";
import * as aes from "./aes.ts";
import * as arithmetic from "./arithmetic.ts";
import * as bitScan from "./bit-scan.ts";
import * as bitTest from "./bit-test.ts";
import * as bmi from "./bmi.ts";
import * as bound from "./bound.ts";
import * as branch from "./branch.ts";
import * as carrylessMultiply from "./carryless-multiply.ts";
import * as condition from "./condition.ts";
import * as controlRegisters from "./control-registers.ts";
import * as convert from "./convert.ts";
import * as crc32 from "./crc32.ts";
import * as decimal from "./decimal.ts";
import * as descriptorTables from "./descriptor-tables.ts";
import * as divide from "./divide.ts";
import * as exchange from "./exchange.ts";
import * as farTransfer from "./far-transfer.ts";
import * as fastCalls from "./fast-calls.ts";
import * as fence from "./fence.ts";
import * as flagControl from "./flag-control.ts";
import * as fpuState from "./fpu-state.ts";
import * as interrupts from "./interrupts.ts";
import * as logic from "./logic.ts";
import * as mmxMove from "./mmx-move.ts";
import * as move from "./move.ts";
import * as multiply from "./multiply.ts";
import * as nop from "./nop.ts";
import * as ports from "./ports.ts";
import * as processorState from "./processor-state.ts";
import * as rotate from "./rotate.ts";
import * as segmentQueries from "./segment-queries.ts";
import * as segmentRegisters from "./segment-registers.ts";
import * as sha from "./sha.ts";
import * as shift from "./shift.ts";
import * as sseArithmetic from "./sse-arithmetic.ts";
import * as sseBlend from "./sse-blend.ts";
import * as sseCompare from "./sse-compare.ts";
import * as sseConvert from "./sse-convert.ts";
import * as sseExtend from "./sse-extend.ts";
import * as sseHorizontal from "./sse-horizontal.ts";
import * as sseInsert from "./sse-insert.ts";
import * as sseInteger from "./sse-integer.ts";
import * as sseLogic from "./sse-logic.ts";
import * as sseMove from "./sse-move.ts";
import * as sseRound from "./sse-round.ts";
import * as sseShift from "./sse-shift.ts";
import * as sseShuffle from "./sse-shuffle.ts";
import * as sseString from "./sse-string.ts";
import * as stack from "./stack.ts";
import * as string from "./string.ts";
import * as system from "./system.ts";
import * as x87Arithmetic from "./x87-arithmetic.ts";
import * as x87Compare from "./x87-compare.ts";
import * as x87Constants from "./x87-constants.ts";
import * as x87Control from "./x87-control.ts";
import * as x87Decimal from "./x87-decimal.ts";
import * as x87Environment from "./x87-environment.ts";
import * as x87Move from "./x87-move.ts";
import * as x87Scale from "./x87-scale.ts";
import * as x87Stack from "./x87-stack.ts";
import * as x87Transcendental from "./x87-transcendental.ts";

/** The instruction set, a family a file. */
export const instructions: readonly Instruction[] = [
  add,
  aes,
  arithmetic,
  bitScan,
  bitTest,
  bmi,
  bound,
  branch,
  carrylessMultiply,
  condition,
  controlRegisters,
  convert,
  crc32,
  decimal,
  descriptorTables,
  divide,
  exchange,
  farTransfer,
  fastCalls,
  fence,
  flagControl,
  fpuState,
  interrupts,
  logic,
  mmxMove,
  move,
  multiply,
  nop,
  ports,
  processorState,
  rotate,
  segmentQueries,
  segmentRegisters,
  sha,
  shift,
  sseArithmetic,
  sseBlend,
  sseCompare,
  sseConvert,
  sseExtend,
  sseHorizontal,
  sseInsert,
  sseInteger,
  sseLogic,
  sseMove,
  sseRound,
  sseShift,
  sseShuffle,
  sseString,
  stack,
  string,
  system,
  x87Arithmetic,
  x87Compare,
  x87Constants,
  x87Control,
  x87Decimal,
  x87Environment,
  x87Move,
  x87Scale,
  x87Stack,
  x87Transcendental,
].flatMap((family) => Object.values(family).filter((member) => typeof member === "object"));
