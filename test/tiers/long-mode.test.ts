/** Tests of instructions and of the system in 64-bit mode, again: each of their instructions is translated before it is executed. */

import { env } from "node:process";

env["TEST_TRANSLATION"] = "1";

const system = ["registers", "system", "long-transfers", "long-interrupts", "privilege", "segments"];
const instructions = ["integer", "stack", "string", "sse-exceptions", "x87-state"];
const engine = ["engine", "code-cache", "mmu/paging", "mmu/translations"];

for (const name of system) await import(`../system/${name}.test.ts`);
for (const name of instructions) await import(`../../src/x86/instructions/${name}.test.ts`);
for (const name of engine) await import(`../../src/engine/${name}.test.ts`);
