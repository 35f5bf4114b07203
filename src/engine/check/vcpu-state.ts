/** Which parts of a vCPU's state two runs are compared by, and how it is taken back. */

import { Segment, SegmentField, State, gprSlot, segmentSlot, stateBytes, xmmSlot } from "../../x86/state.ts";
import { Gpr } from "../../x86/state.ts";
import { statusOf } from "../context.ts";
import { Mmu } from "../mmu/state.ts";

/** A part of the state: where it is, and how many bytes it has. */
interface Part {
  readonly name: string;
  readonly at: number;
  readonly bytes: number;
}

function part(name: string, at: number, bytes: number): Part {
  return { name, at, bytes };
}

const wide = ["cr0", "cr2", "cr3", "cr4", "efer", "xcr0", "star", "lstar", "cstar", "fmask"] as const;
const msrs = ["kernelGsBase", "sysenterCs", "sysenterEsp", "sysenterEip", "tscAux", "tscOffset", "pat"] as const;
const narrow = ["cpl", "mode", "tlbBank", "tlbMask", "shadow", "noTrap", "fpuTrap", "alignmentCheck"] as const;
const fpu = ["fcw", "fsw", "ftw", "fop", "mxcsr"] as const;

/** Everything that is compared as it is, besides the flags. */
const parts: readonly Part[] = [
  part("rip", State.rip, 8),
  ...Object.entries(Gpr).map(([name, number]) => part(name, gprSlot(number), 8)),
  part("zero", State.zero, 8),
  ...narrow.map((name) => part(name, State[name], 4)),
  ...Object.keys(Segment).flatMap((name) => {
    const at = segmentSlot(name as Segment);
    return [
      part(`${name} selector`, at + SegmentField.selector, 2),
      part(`${name} attributes`, at + SegmentField.attributes, 2),
      part(`${name} base`, at + SegmentField.base, 8),
      part(`${name} limit`, at + SegmentField.limit, 4),
    ];
  }),
  part("gdtr base", State.gdtrBase, 8),
  part("gdtr limit", State.gdtrLimit, 4),
  part("idtr base", State.idtrBase, 8),
  part("idtr limit", State.idtrLimit, 4),
  ...[...wide, ...msrs].map((name) => part(name, State[name], 8)),
  ...Array.from({ length: 8 }, (_, index) => part(`dr${index}`, State.dr + index * 8, 8)),
  ...Array.from({ length: 16 }, (_, index) => [
    part(`xmm${index} low`, xmmSlot(index), 8),
    part(`xmm${index} high`, xmmSlot(index) + 8, 8),
  ]).flat(),
  ...Array.from({ length: 8 }, (_, index) => [
    part(`x87 ${index} significand`, State.x87 + index * 16, 8),
    part(`x87 ${index} exponent`, State.x87 + index * 16 + 8, 2),
  ]).flat(),
  ...fpu.map((name) => part(name, State[name], 4)),
  part("fip", State.fip, 8),
  part("fdp", State.fdp, 8),
];

/** The same in 16-bit words, so that it is quickly gone through. */
const compared = Uint16Array.from(
  parts.flatMap(({ at, bytes }) => Array.from({ length: bytes / 2 }, (_, word) => at / 2 + word)),
);

/** Kept where the state is taken back: translations that were noted are still relied on, and others may ask for attention. */
const counters = [State.kernelCode, State.userCode, State.attention];
const sticky = [Mmu.localJumps, ...Array.from({ length: Mmu.largeBytes / 4 }, (_, word) => Mmu.large + word * 4)];

/** A vCPU's state, of which copies are taken and compared. */
export class VcpuState {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #words: Uint16Array;

  constructor(buffer: ArrayBufferLike, base: number) {
    this.#bytes = new Uint8Array(buffer, base, stateBytes);
    this.#view = new DataView(buffer, base, stateBytes);
    this.#words = new Uint16Array(buffer, base, stateBytes / 2);
  }

  copy(): Uint8Array {
    return this.#bytes.slice();
  }

  /** Makes the state what it was. */
  restore(before: Uint8Array): void {
    const view = this.#view;
    const from = new DataView(before.buffer, before.byteOffset);
    const kept = counters.map((slot) => view.getInt32(slot, true));
    const bits = sticky.map((slot) => view.getInt32(slot, true) | from.getInt32(slot, true));
    // The attention word may be set by other threads at any time.
    this.#bytes.set(before.subarray(0, State.attention));
    this.#bytes.set(before.subarray(State.attention + 4), State.attention + 4);
    counters.forEach((slot, index) => {
      if (slot !== State.attention) view.setInt32(slot, kept[index]!, true);
    });
    sticky.forEach((slot, index) => view.setInt32(slot, bits[index]!, true));
  }

  /** Whether the state is that of a copy. */
  same(other: Uint8Array): boolean {
    const words = this.#words;
    const others = new Uint16Array(other.buffer, other.byteOffset, stateBytes / 2);
    for (const at of compared) if (words[at] !== others[at]) return false;
    return rflags(this.#view) === rflags(new DataView(other.buffer, other.byteOffset));
  }

  /** The parts in which two copies differ, with what is in each. */
  static differences(
    region: Uint8Array,
    interpreter: Uint8Array,
  ): { name: string; region: bigint; interpreter: bigint }[] {
    const [one, two] = [new DataView(region.buffer), new DataView(interpreter.buffer)];
    const all = parts.map(({ name, at, bytes }) => ({
      name,
      region: read(one, at, bytes),
      interpreter: read(two, at, bytes),
    }));
    const flags = { name: "rflags", region: BigInt(rflags(one)), interpreter: BigInt(rflags(two)) };
    return [flags, ...all].filter((each) => each.region !== each.interpreter);
  }

  /** The general registers, RIP and flags of a copy, for people. */
  static text(copy: Uint8Array): string {
    const view = new DataView(copy.buffer);
    const hex = (value: bigint) => value.toString(16).padStart(16, "0");
    const registers = Object.entries(Gpr).map(
      ([name, number]) => `${name.padEnd(3)} ${hex(view.getBigUint64(gprSlot(number), true))}`,
    );
    const lines = Array.from({ length: 4 }, (_, line) => registers.slice(line * 4, line * 4 + 4).join("  "));
    const rip = hex(view.getBigUint64(State.rip, true));
    return [...lines, `rip ${rip}  rflags ${rflags(view).toString(16)}  cpl ${view.getUint32(State.cpl, true)}`].join(
      "\n",
    );
  }
}

function read(view: DataView, at: number, bytes: number): bigint {
  if (bytes === 8) return view.getBigUint64(at, true);
  return BigInt(bytes === 4 ? view.getUint32(at, true) : view.getUint16(at, true));
}

function rflags(view: DataView): number {
  return (
    view.getUint32(State.flags, true) |
    statusOf(view.getBigUint64(State.ccResult, true), view.getBigUint64(State.ccAux, true))
  );
}
