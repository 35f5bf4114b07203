/** Notes what the tests' machines did, so that another processor can be given the same: see qemu.test.ts. */

import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { getTestContext } from "node:test";
import { serialize } from "node:v8";
import { Exit } from "../../src/engine/engine.ts";
import type { Platform, Vcpu, VcpuContext } from "../../src/engine/engine.ts";

/** Set to a directory, the tests' runs are noted in files there. */
export const RECORD = "XENOLITH_RECORD_RUNS";

/** Pages of RAM by number. */
export type Pages = Map<number, Uint8Array>;

/** A run from a state that a test made to the halt, or to the triple fault, in which it ended. */
export interface Run {
  /** The test's name. */
  readonly name: string;
  readonly before: VcpuContext;
  /** Pages that are not zero. */
  readonly ram: Pages;
  readonly after: VcpuContext;
  /** Pages that are not as before. */
  readonly changed: Pages;
  readonly tripleFault: boolean;
}

const PAGE = 4096;
const zeros = new Uint8Array(PAGE);

const directory = process.env[RECORD];

/** A platform whose use is noted: another processor has another. */
export function watchPlatform(platform: Platform, used: { platform: boolean }): Platform {
  if (directory === undefined) return platform;
  return new Proxy(platform, {
    get(target, name, receiver) {
      used.platform = true;
      return Reflect.get(target, name, receiver) as unknown;
    },
  });
}

/** Notes the runs of a vCPU that follow a {@link Vcpu.setContext}: nothing but that state goes into them. */
export function recordRuns(vcpu: Vcpu, memory: DataView, used: { platform: boolean }): void {
  if (directory === undefined) return;
  const ram = new Uint8Array(memory.buffer, memory.byteOffset, memory.byteLength);
  let fresh = false;
  for (const name of ["injectInterrupt", "injectException"] as const) {
    const original = vcpu[name].bind(vcpu);
    vcpu[name] = (vector: number, errorCode?: number) => {
      fresh = false;
      original(vector, errorCode);
    };
  }
  const setContext = vcpu.setContext.bind(vcpu);
  vcpu.setContext = (context) => {
    fresh = true;
    setContext(context);
  };
  const run = vcpu.run.bind(vcpu);
  vcpu.run = (budget) => {
    if (!fresh || vcpu.interruptPending) return run(budget);
    fresh = false;
    used.platform = false;
    const before = vcpu.context();
    const pages = pagesOf(ram, () => zeros);
    const exit = run(budget);
    if ((exit === Exit.halt || exit === Exit.tripleFault) && !used.platform) {
      note({
        name: getTestContext()?.name ?? "",
        before,
        ram: pages,
        after: vcpu.context(),
        changed: pagesOf(ram, (page) => pages.get(page) ?? zeros),
        tripleFault: exit === Exit.tripleFault,
      });
    }
    return exit;
  };
}

/** Pages that are not as `others` are. */
function pagesOf(ram: Uint8Array, others: (page: number) => Uint8Array): Pages {
  const pages: Pages = new Map();
  for (let page = 0; page < ram.length / PAGE; page++) {
    const bytes = ram.subarray(page * PAGE, (page + 1) * PAGE);
    if (Buffer.compare(bytes, others(page)) !== 0) pages.set(page, bytes.slice());
  }
  return pages;
}

function note(run: Run): void {
  const bytes = serialize(run);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  appendFileSync(join(directory ?? "", `${process.pid}.runs`), Buffer.concat([length, bytes]));
}
