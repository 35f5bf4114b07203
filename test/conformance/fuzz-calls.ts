/** Random hypercalls, biased to what may go wrong: arguments that are nearly right, and pointers to odd places. */
import { HYPERVISOR } from "../../src/abi/xen.ts";
import { DOMID } from "../../src/abi/xen.ts";
import type { Guest } from "./guest.ts";
import { SCRIPT_STRIDE } from "./kernel.ts";
import { HIGH, Memory, Window } from "./layout.ts";
import type { Random } from "./random.ts";
import { subjects } from "./subjects.ts";

/** Hypercalls of one sequence at most. */
export const MOST_CALLS = 12;
/** Each call has this much of the argument area for itself. */
const SLOT = 1024;

const implemented = [
  HYPERVISOR.memory_op,
  HYPERVISOR.multicall,
  HYPERVISOR.set_timer_op,
  HYPERVISOR.xen_version,
  HYPERVISOR.console_io,
  HYPERVISOR.grant_table_op,
  HYPERVISOR.vm_assist,
  HYPERVISOR.vcpu_op,
  HYPERVISOR.sched_op,
  HYPERVISOR.event_channel_op,
  HYPERVISOR.hvm_op,
];

const edges = [0n, 1n, 2n, 7n, 8n, 15n, 16n, 31n, 63n, 64n, 255n, 256n, 1023n, 1024n, 4095n, 4096n, 0x7fffn, 0xffffn]
  .concat([0x7fffffffn, 0x80000000n, 0xffffffffn, 1n << 32n, 1n << 40n, 1n << 52n, (1n << 63n) - 1n, 1n << 63n])
  .concat([(1n << 64n) - 1n, (1n << 64n) - 4096n]);

function wild(random: Random): bigint {
  if (random.once(2)) return random.of(edges);
  const value = (BigInt(random.word()) << 32n) | BigInt(random.word());
  return value >> BigInt(random.below(64));
}

function frame(random: Random): bigint {
  const kinds = [
    () => Memory.freeFrame + random.below(24),
    () => 0x900 + random.below(24),
    () => random.below(Memory.ram / 4096),
    () => random.of([0xfee00, 0xfeffc, 0xfefff, 0xfffff, 0x100000]),
    // Seldom the guest's own kernel: then it is soon over.
    () => (random.once(20) ? 0x100 + random.below(0x100) : Memory.freeFrame),
  ];
  return random.once(12) ? wild(random) : BigInt(random.of(kinds)());
}

/** A linear address, most often one of `plain`. */
function pointer(random: Random, plain: number, guest: Guest): bigint {
  if (!random.once(5)) return BigInt(plain) + (guest.bits === 64 && random.once(2) ? HIGH : 0n);
  const near = random.below(64);
  return random.of<() => bigint>([
    () => BigInt(Window.second - near),
    () => BigInt(Window.absent - near),
    () => BigInt(Window.readOnly + near),
    () => BigInt(Window.afterWritable - near),
    () => BigInt(Window.hole + near),
    () => BigInt(Memory.lapic + near * 16),
    () => BigInt(random.below(Memory.mapped)),
    () => BigInt(Memory.script + near * 8),
    () => wild(random),
  ])();
}

/** What a member of a structure is likely to be, by its name. */
function member(random: Random, name: string, plain: number, guest: Guest): bigint {
  if (random.once(24)) return wild(random);
  const small = (limit: number): bigint => BigInt(random.below(limit));
  if (/dom|domid/.test(name)) {
    const peers = [0, 0, 1, 2, 3, guest.domain.id, guest.domain.id + 1, DOMID.SELF, DOMID.IO, DOMID.INVALID];
    return BigInt(random.once(2) ? DOMID.SELF : random.of(peers));
  }
  if (/gfn|gpfn|pfn|mfn|^idx$/.test(name)) return random.once(3) ? small(6) : frame(random);
  if (/host_addr|^addr$|dev_bus/.test(name)) {
    return random.once(2) ? frame(random) << 12n : pointer(random, plain, guest);
  }
  if (/port/.test(name)) return name === "ports" ? pointer(random, plain, guest) : small(40);
  if (/extent_start|frame_list|idxs|gpfns|errs|buffer/.test(name)) return pointer(random, plain, guest);
  if (/^ref|^u$/.test(name)) return random.once(4) ? frame(random) : small(24);
  if (/timeout|period|now/.test(name)) return random.once(3) ? wild(random) : small(1 << 30);
  if (/order/.test(name)) return small(3);
  if (/nr_|size|count|len/.test(name)) return small(random.once(10) ? 600 : 12);
  if (/offset/.test(name)) return random.once(2) ? small(512) * 8n : small(5000);
  if (/vcpu/.test(name)) return small(3);
  if (/value/.test(name)) return random.of([1n, 0xf3n, (2n << 56n) | 0xf3n, (2n << 56n) | small(256)]);
  if (/vector/.test(name)) return small(256);
  return small(random.once(2) ? 4 : 40);
}

/** A list's length, seldom one that goes on to the end of memory: such a list takes its time. */
function endless(random: Random, count: number): bigint {
  return random.once(400) ? wild(random) : BigInt(random.once(10) ? random.below(200) : count);
}

/** A call: its number and its arguments. */
export type Call = readonly bigint[];

function structured(random: Random, guest: Guest, plain: number): Call {
  const subject = random.of(subjects);
  const pick = (name: string): bigint => member(random, name, plain + 512, guest);
  const length = subject.size(guest);
  const count = subject.after.length > 0 ? random.of([1, 1, 1, 2, 3]) : 1;
  const at = pointer(random, plain, guest);
  for (let i = 0; i < count && (i + 1) * length <= 512; i++) {
    guest.memory.write(plain + i * length, subject.fill(guest, pick));
  }
  const before = subject.before.map((value, i) => (i === 1 ? BigInt(random.below(3)) : BigInt(value)));
  const after = subject.after.map(() => endless(random, count));
  return [BigInt(subject.number), ...before, at, ...after];
}

/** A list of calls in memory, of which some are lists of calls. */
function multicall(random: Random, guest: Guest, plain: number): Call {
  const count = 1 + random.below(3);
  const width = guest.bits / 8;
  for (let i = 0; i < count; i++) {
    const words = [...loose(random, guest, plain + 512), 0n, 0n, 0n, 0n, 0n, 0n].slice(0, 6);
    const entry = [words[0] ?? 0n, 0n, ...words.slice(1), 0n];
    const bytes = new Uint8Array(8 * width);
    const view = new DataView(bytes.buffer);
    entry.slice(0, 8).forEach((value, k) => {
      if (width === 8) view.setBigUint64(k * 8, BigInt.asUintN(64, value), true);
      else view.setUint32(k * 4, Number(BigInt.asUintN(32, value)), true);
    });
    guest.memory.write(plain + i * bytes.length, bytes);
  }
  return [BigInt(HYPERVISOR.multicall), pointer(random, plain, guest), endless(random, count)];
}

/** A call of whatever number, with whatever arguments; of those that take lists the lengths are as {@link endless} has them. */
function loose(random: Random, guest: Guest, plain: number): Call {
  const number = random.once(12) ? wild(random) : BigInt(random.of(implemented));
  const argument = (): bigint =>
    random.of<() => bigint>([
      () => BigInt(random.below(30)),
      () => pointer(random, plain, guest),
      () => wild(random),
    ])();
  const command = random.once(10) ? wild(random) : BigInt(random.below(30));
  const args = [command, argument(), argument(), argument()];
  const lengthAt: Readonly<Record<number, number>> = {
    [HYPERVISOR.multicall]: 1,
    [HYPERVISOR.console_io]: 1,
    [HYPERVISOR.grant_table_op]: 2,
  };
  const at = lengthAt[Number(BigInt.asUintN(32, number))];
  if (at !== undefined) args[at] = endless(random, random.below(8));
  return [number, ...args];
}

/** Random calls, in the guest's script. Those that end or stop a domain are rare, so that something comes of the others. */
export function writeScript(random: Random, guest: Guest): Call[] {
  const calls = Array.from({ length: 1 + random.below(MOST_CALLS) }, (_, i) => {
    const plain = Memory.data + i * SLOT;
    const kind = random.below(8);
    if (kind === 0) return loose(random, guest, plain);
    return kind === 1 ? multicall(random, guest, plain) : structured(random, guest, plain);
  });
  calls.forEach((call, i) => {
    for (let k = 0; k < 6; k++) {
      guest.setU64(Memory.script + i * SCRIPT_STRIDE + k * 8, BigInt.asUintN(guest.bits, call[k] ?? 0n));
    }
  });
  return calls;
}

/** Calls for people. */
export function describe(calls: readonly Call[]): string {
  return calls.map((call) => call.map((value) => `0x${BigInt.asUintN(64, value).toString(16)}`).join(" ")).join("\n");
}
