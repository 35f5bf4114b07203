import type { Value } from "../../ir/node.ts";
import { instruction } from "../instruction.ts";
import type { Instruction } from "../instruction.ts";
import type { Operand } from "../operand.ts";
import { raisingLanes } from "../routines/sse.ts";
import { approximations, roundedLane, roundedScalar } from "../routines/sse-round.ts";
import type { Semantics } from "../semantics.ts";
import { single } from "../softfloat/format.ts";
import { extractLane, replaceLane } from "../routines/sse.ts";
import { pd, ps, sd, ss } from "./sse-shapes.ts";
import type { Shape } from "./sse-shapes.ts";

/** ROUNDPS and the like: bits 1–0 of the immediate are the mode, bit 2 takes MXCSR's, bit 3 keeps PE unchanged. */
function round({ suffix, format, packed, destination: V, source: W }: Shape, opcode: string): Instruction {
  const routine = packed ? raisingLanes("round", format, [roundedLane[format.name]], 1) : roundedScalar[format.name];
  return instruction({
    mnemonic: `round${suffix}`,
    feature: "SSE4_1",
    encodings: [`66 0F 3A ${opcode}  ${V},${W},Ib`],
    semantics(ir: Semantics, ...[destination, source, immediate]: Operand[]) {
      ir.requireSse();
      destination!.write(ir.call(routine, source!.read(), immediate!.read("i32"))[0]!);
    },
  });
}
export const roundps = round(ps, "08");
export const roundpd = round(pd, "09");
export const roundss = round(ss, "0A");
export const roundsd = round(sd, "0B");

/** RCP and RSQRT: approximations that touch no flags. */
function approximate(
  name: "rcp" | "rsqrt",
  opcode: string,
  { suffix, packed, prefix, destination: V, source: W }: Shape,
): Instruction {
  const routine = approximations[name];
  return instruction({
    mnemonic: `${name}${suffix}`,
    feature: "SSE",
    encodings: [`${prefix} 0F ${opcode}  ${V},${W}`],
    semantics(ir: Semantics, ...[destination, source]: Operand[]) {
      ir.requireSse();
      const value = source!.read();
      if (!packed) {
        destination!.write(ir.call(routine, value)[0]!);
        return;
      }
      let result: Value = ir.const("v128", 0);
      for (let lane = 0; lane < 4; lane++) {
        const [approximation] = ir.call(routine, extractLane(ir, single, value, lane));
        result = replaceLane(ir, single, result, lane, approximation!);
      }
      destination!.write(result);
    },
  });
}
export const rcpps = approximate("rcp", "53", ps);
export const rcpss = approximate("rcp", "53", ss);
export const rsqrtps = approximate("rsqrt", "52", ps);
export const rsqrtss = approximate("rsqrt", "52", ss);
