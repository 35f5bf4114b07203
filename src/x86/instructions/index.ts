import type { Instruction } from "../instruction.ts";
import * as add from "./add.ts";

/** The instruction set, a family a file. */
export const instructions: readonly Instruction[] = [add].flatMap((family) => Object.values(family));
