/**
 * Random sequences of hypercalls: none throws out of the hypervisor, and it does not grow by them. Some seconds of them in
 * the usual run; as many as FUZZ_SEQUENCES says, of the seed FUZZ_SEED, where those are set (`npm run test:fuzz`).
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { GTF } from "../../src/abi/grant_table.ts";
import { raise } from "../../src/hypervisor/event-table.ts";
import { describe, writeScript } from "./fuzz-calls.ts";
import { grant, GRANTED, mapTable } from "./grants.ts";
import { GuestFailure } from "./guest.ts";
import type { Guest } from "./guest.ts";
import { Machine } from "./machine.ts";
import { randomFrom } from "./random.ts";
import type { Random } from "./random.ts";

const SEQUENCES = Number(process.env["FUZZ_SEQUENCES"] ?? 1000);
const SEED = Number(process.env["FUZZ_SEED"] ?? 1);
/** Sequences that one guest makes at most. */
const LIFETIME = 200;
/** Guests after which the other one, which they share pages and channels with, is replaced. */
const PEER_LIFETIME = 20;
/** What may be left of the whole run. */
const GROWTH = 8 << 20;
const PATIENCE = { sleeps: 20, instructions: 1500 };

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** Bytes that are in use when nothing is left to be collected. */
function inUse(): number {
  collect();
  collect();
  const { arrayBuffers, external, heapUsed } = process.memoryUsage();
  return heapUsed + external + arrayBuffers;
}

/** A guest with some pages granted, and channels that others may bind. */
function prepare(machine: Machine, random: Random, others: readonly number[]): Guest {
  const guest = machine.guest({ bits: random.of([32, 64] as const), vcpus: random.of([1, 2, 3]) });
  guest.patience = PATIENCE;
  mapTable(guest);
  others.forEach((other, i) => {
    grant(guest, 8 + i * 2, other, GRANTED + i);
    grant(guest, 9 + i * 2, other, GRANTED + 8 + i, GTF.permit_access | GTF.readonly);
  });
  return guest;
}

/** One sequence. @returns whether the guest can go on. */
function attempt(guest: Guest, random: Random, calls: { text: () => string }): boolean {
  try {
    const script = writeScript(random, guest);
    calls.text = () => describe(script);
    if (random.once(8)) raise(guest.domain, random.below(64));
    guest.mail("value", script.length);
    guest.run(random.once(2) ? "script" : "script_closed");
    return true;
  } catch (error) {
    // It ended itself, faulted, gave its own pages away, or sleeps for ever: so it may.
    if (error instanceof GuestFailure) return false;
    throw error;
  } finally {
    guest.console = "";
  }
}

test(`fuzz: ${SEQUENCES} sequences of hypercalls stay in the hypervisor, seed ${SEED}`, (t) => {
  using machine = new Machine();
  const random = randomFrom(SEED);
  const calls = { text: () => "" };
  let guests = 0;
  let peer: Guest | undefined;
  let guest: Guest | undefined;
  let before = 0;
  let failures = 0;
  for (let sequence = 0; sequence < SEQUENCES; sequence++) {
    // What is compiled and cached once is there after a tenth of the run.
    if (sequence === Math.floor(SEQUENCES / 10)) before = inUse();
    try {
      if (guest === undefined || random.once(LIFETIME)) {
        if (guest !== undefined) machine.destroy(guest);
        if (peer === undefined || guests % PEER_LIFETIME === 0) {
          if (peer !== undefined) machine.destroy(peer);
          peer = prepare(
            machine,
            random,
            [0, 1, 2].map((ahead) => guests + ahead),
          );
        }
        guest = prepare(machine, random, [peer.domain.id, 0]);
        grant(peer, 20, guest.domain.id, GRANTED + 20);
        guests++;
      }
      if (attempt(guest, random, calls)) continue;
      failures++;
      machine.destroy(guest);
      guest = undefined;
    } catch (error) {
      const text = `sequence ${sequence} of seed ${SEED}, ${guest?.bits}-bit:\n${calls.text()}`;
      throw new Error(text, { cause: error });
    }
  }
  const growth = inUse() - before;
  t.diagnostic(
    `${SEQUENCES} sequences by ${guests} guests, ${failures} of which ended themselves; ${growth} bytes more`,
  );
  assert.ok(growth < GROWTH, `${growth} bytes more are in use`);
});
