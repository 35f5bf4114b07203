/**
 * Random instruction streams, in every mode: whatever a guest executes, the engine comes back with an exit, throws nothing
 * and does not grow. Some seconds of them in the usual run; as many as FUZZ_STREAMS says, of the seed FUZZ_SEED, where those
 * are set (`npm run test:fuzz`).
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Exit } from "../../src/engine/engine.ts";
import { createMachine, Layout } from "../engine-harness.ts";
import type { MachineMode } from "../engine-harness.ts";
import { randomRegister, randomStream } from "./fuzz-streams.ts";
import { randomFrom } from "./random.ts";
import type { Random } from "./random.ts";

const STREAMS = Number(process.env["FUZZ_STREAMS"] ?? 3000);
const SEED = Number(process.env["FUZZ_SEED"] ?? 1);
/** Instructions of a stream that are executed at most. */
const BUDGET = 48;
/** Code begins in this page, and may run into the next one. */
const CODE = 0x4_0000;
/** Tables, handlers and page tables are below; a stream may ruin them. */
const TABLES_END = 0x3_0000;
/** What one stream leaves in memory of each processor: nothing, but forms that are compiled when they are first met. */
const GROWTH_A_FORM = 64 << 10;
const GROWTH = 16 << 20;

/** User mode is the same processor in another state. */
const modes: readonly (readonly [mode: MachineMode, cpl: 0 | 3])[] = [
  ["long", 0],
  ["long", 3],
  ["compatibility", 3],
  ["protected", 0],
  ["protected", 3],
  ["protected16", 0],
  ["real", 0],
];

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

function inUse(): number {
  collect();
  const { arrayBuffers, external, heapUsed } = process.memoryUsage();
  return heapUsed + external + arrayBuffers;
}

/** A machine that is as new for each stream. */
function fuzzMachine(mode: MachineMode, cpl: 0 | 3) {
  const machine = createMachine(mode, cpl, {
    rdmsr: (index) => (index % 3 === 0 ? undefined : BigInt(index)),
    wrmsr: (index) => index % 3 !== 0,
    portIn: (port) => port,
  });
  const { memory, ram, vcpu } = machine;
  if (mode === "long" || mode === "compatibility") {
    for (let page = 0; page < Layout.free; page += 4096) machine.map(BigInt(page), page, page < CODE ? 3n : 7n);
  }
  const low = new Uint8Array(ram.buffer, ram.byteOffset, TABLES_END);
  const fresh = low.slice();
  const base = machine.context();
  return {
    statistics: () => vcpu.statistics(),
    run(random: Random, code: Uint8Array): Exit {
      low.set(fresh);
      for (let gfn = 0; gfn < TABLES_END / 4096; gfn++) memory.externallyWritten(gfn);
      const offset = random.once(3) ? 4096 - random.below(24) : random.below(4000);
      memory.write(CODE + offset, code);
      const { cs, ds } = base.segments;
      const real = { ...ds, selector: CODE >> 4, base: BigInt(CODE) };
      vcpu.setContext({
        ...base,
        gpr: base.gpr.map((_, i) => (i === 4 && !random.once(8) ? 0x6_0000n : randomRegister(random))),
        rip: BigInt(mode === "real" ? offset : CODE + offset),
        rflags: 2n | (BigInt(random.word()) & 0x40ed5n),
        segments:
          mode === "real" ? { ...base.segments, cs: { ...cs, ...real, attributes: cs.attributes } } : base.segments,
      });
      vcpu.interruptPending = false;
      const exit = vcpu.run(BUDGET);
      if (random.once(16)) vcpu.injectInterrupt(random.below(256));
      return random.once(4) ? vcpu.run(BUDGET) : exit;
    },
  };
}

test(`fuzz: ${STREAMS} streams of instructions end in an exit, seed ${SEED}`, (t) => {
  const random = randomFrom(SEED);
  const counts = new Map<Exit, number>();
  let growth = 0;
  let forms = 0;
  for (const [mode, cpl] of modes) {
    const machine = fuzzMachine(mode, cpl);
    const share = Math.ceil(STREAMS / modes.length);
    let before = 0;
    let formsBefore = 0;
    for (let i = 0; i < share; i++) {
      if (i === Math.floor(share / 2)) {
        before = inUse();
        formsBefore = machine.statistics().forms;
      }
      const code = randomStream(random, mode);
      try {
        const exit = machine.run(random, code);
        assert.ok(exit >= Exit.budget && exit <= Exit.tripleFault, `exit ${exit}`);
        counts.set(exit, (counts.get(exit) ?? 0) + 1);
      } catch (cause) {
        const bytes = Array.from(code, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
        throw new Error(`stream ${i} of seed ${SEED}, ${mode} at CPL ${cpl}: ${bytes}`, { cause });
      }
    }
    growth += inUse() - before;
    forms += machine.statistics().forms - formsBefore;
  }
  const exits = Object.entries(Exit).map(([name, exit]) => `${counts.get(exit) ?? 0} ${name}`);
  t.diagnostic(`${exits.join(", ")}; ${growth} bytes more, with ${forms} forms`);
  assert.ok(growth < GROWTH + forms * GROWTH_A_FORM, `${growth} bytes more are in use, with ${forms} forms`);
  assert.ok((counts.get(Exit.halt) ?? 0) > STREAMS / 10, "exceptions are delivered");
});
