/** Compares two outcomes of one case, and prints them side by side when they differ. */
import { Formatter, FormatterSyntax, Decoder, DecoderOptions } from "iced-x86";
import { REGISTERS } from "./cases.ts";
import { INITIAL_FX, RFLAGS_COMPARED, windowPattern, type Case, type Outcome } from "./wire.ts";

/** What is not to be compared. */
export interface Ignored {
  /** RFLAGS bits. */
  readonly rflags: number;
  /** Bits of the x87 status word. */
  readonly statusWord: number;
  /** Largest relative difference of single-precision results, for approximations; 0 for none. */
  readonly relativeError: number;
  /** Largest difference of x87 registers, in units in the last place. */
  readonly extendedUlps: number;
  /** Bits of general registers. */
  readonly gpr: bigint;
  /** Bytes of the window: from, to. */
  readonly memory: readonly (readonly [number, number])[];
}

export const NOTHING_IGNORED: Ignored = {
  rflags: 0,
  statusWord: 0,
  relativeError: 0,
  extendedUlps: 0,
  gpr: 0n,
  memory: [],
};

/** One thing that two machines have differently, or both alike. */
interface Line {
  readonly name: string;
  readonly before: string;
  readonly host: string;
  readonly ours: string;
}

/** @returns the names of everything that differs; empty if the outcomes are the same. */
export function differences(request: Case, host: Outcome, ours: Outcome, ignored: Ignored): string[] {
  return lines(request, host, ours, ignored)
    .filter((line) => line.host !== line.ours)
    .map(({ name }) => name);
}

function lines(request: Case, host: Outcome, ours: Outcome, ignored: Ignored): Line[] {
  const result: Line[] = [{ name: "end", before: "", host: describeEnd(host), ours: describeEnd(ours) }];
  const add = (name: string, before: string, hostText: string, ourText: string): void => {
    if (hostText !== ourText || hostText !== before) result.push({ name, before, host: hostText, ours: ourText });
  };
  for (let i = 0; i < 16; i++) {
    const [before, one, other] = [request, host, ours].map(({ gpr }) => hex(gpr[i]! & ~ignored.gpr, 16)) as [
      string,
      string,
      string,
    ];
    add(REGISTERS[i]!, before, one, other);
  }
  const flags = RFLAGS_COMPARED & ~ignored.rflags;
  add("rflags", flagNames(request.rflags & flags), flagNames(host.rflags & flags), flagNames(ours.rflags & flags));
  addFx(add, request, host, ours, ignored);
  const initial = request.selectors;
  if (initial !== undefined || host.selectors.some((value, i) => value !== ours.selectors[i]))
    ["es", "cs", "ss", "ds", "fs", "gs"].forEach((name, i) => {
      const before = initial?.[name as keyof typeof initial] ?? host.selectors[i]!;
      add(name, hex(before, 4), hex(host.selectors[i]!, 4), hex(ours.selectors[i]!, 4));
    });
  if (request.mode === 64)
    ["fs base", "gs base"].forEach((name, i) =>
      add(name, hex(request.bases?.[i] ?? 0n, 16), hex(host.bases[i]!, 16), hex(ours.bases[i]!, 16)),
    );
  if (host.changes.length + ours.changes.length > 0) addWindow(add, request, host, ours, ignored.memory);
  return result;
}

type Add = (name: string, before: string, host: string, ours: string) => void;

function addFx(add: Add, request: Case, host: Outcome, ours: Outcome, ignored: Ignored): void {
  const images = [request.fx ?? INITIAL_FX, host.fx, ours.fx];
  if (images[1] === images[2]) return;
  const [before, one, other] = images.map(
    (image) => new DataView(image.buffer, image.byteOffset, image.byteLength),
  ) as [DataView, DataView, DataView];
  const field = (name: string, at: number, size: number, ignoredBits = 0n): void => {
    const read = (view: DataView): string => {
      let value = 0n;
      for (let i = size - 1; i >= 0; i--) value = (value << 8n) | BigInt(view.getUint8(at + i));
      return hex(value & ~ignoredBits, size * 2);
    };
    const [hostText, ourText] = [read(one), read(other)];
    const close =
      (size === 16 && ignored.relativeError > 0 && areClose(one, other, at, ignored.relativeError)) ||
      (size === 10 && ignored.extendedUlps > 0 && areNeighbours(one, other, at, ignored.extendedUlps));
    add(name, read(before), hostText, close ? hostText : ourText);
  };
  field("fcw", 0, 2);
  field("fsw", 2, 2, BigInt(ignored.statusWord));
  field("ftw", 4, 1);
  field("mxcsr", 24, 4);
  for (let i = 0; i < 8; i++) field(`st${i}`, 32 + 16 * i, 10);
  for (let i = 0; i < 16; i++) field(`xmm${i}`, 160 + 16 * i, 16);
}

/** Whether four singles are the same, or normal numbers that differ little; the smallest normal may have become 0. */
function areClose(host: DataView, ours: DataView, at: number, relativeError: number): boolean {
  return [0, 4, 8, 12].every((lane) => {
    if (host.getUint32(at + lane, true) === ours.getUint32(at + lane, true)) return true;
    const [a, b] = [host.getFloat32(at + lane, true), ours.getFloat32(at + lane, true)];
    return Math.abs(a - b) <= Math.max(relativeError * Math.abs(a), (1 + relativeError) * 2 ** -126);
  });
}

/** Whether two numbers in x87 registers are at most `ulps` apart. */
function areNeighbours(host: DataView, ours: DataView, at: number, ulps: number): boolean {
  // Without the integer bit, the bit patterns of neighbouring numbers are neighbouring integers.
  const order = (view: DataView): bigint =>
    (BigInt(view.getUint16(at + 8, true)) << 63n) | (view.getBigUint64(at, true) & ((1n << 63n) - 1n));
  const distance = order(host) - order(ours);
  return distance <= BigInt(ulps) && -distance <= BigInt(ulps);
}

function addWindow(add: Add, request: Case, host: Outcome, ours: Outcome, ignored: Ignored["memory"]): void {
  const initial = windowPattern();
  for (const { offset, bytes } of request.patches) initial.set(bytes, offset);
  const [one, other] = [host, ours].map(({ changes }) => {
    const window = initial.slice();
    for (const { offset, bytes } of changes) window.set(bytes, offset);
    return window;
  }) as [Uint8Array, Uint8Array];
  const qwords = new Set(
    [...host.changes, ...ours.changes].flatMap(({ offset, bytes }) =>
      Array.from({ length: bytes.length / 8 }, (_, i) => offset + 8 * i),
    ),
  );
  const isIgnored = (at: number): boolean => ignored.some(([from, to]) => at >= from && at < to);
  for (const at of [...qwords].toSorted((a, b) => a - b)) {
    const text = (window: Uint8Array): string =>
      Array.from(window.subarray(at, at + 8), (byte, i) => (isIgnored(at + i) ? "··" : hex(byte, 2))).join(" ");
    add(`window+${hex(at, 4)}`, text(initial), text(one), text(other));
  }
}

function describeEnd({ kind, vector, errorCode, faultAddress, rip }: Outcome): string {
  if (kind !== "fault") return `${kind} ${rip.toString(16)}`;
  const address = vector === 14 ? ` at ${faultAddress.toString(16)}` : "";
  return `#${VECTORS[vector] ?? vector}(${errorCode.toString(16)})${address}, rip ${rip.toString(16)}`;
}

const VECTORS: Readonly<Record<number, string>> = {
  0: "DE", 1: "DB", 3: "BP", 4: "OF", 5: "BR", 6: "UD", 7: "NM", 8: "DF", 10: "TS", 11: "NP", 12: "SS", 13: "GP", 14: "PF",
  16: "MF", 17: "AC", 19: "XM",
}; // prettier-ignore

const FLAG_NAMES: readonly (readonly [number, string])[] = [
  [0, "CF"], [2, "PF"], [4, "AF"], [6, "ZF"], [7, "SF"], [8, "TF"], [10, "DF"], [11, "OF"], [18, "AC"], [21, "ID"],
]; // prettier-ignore

function flagNames(rflags: number): string {
  const set = FLAG_NAMES.filter(([position]) => ((rflags >> position) & 1) !== 0).map(([, name]) => name);
  return set.length === 0 ? "-" : set.join(" ");
}

function hex(value: bigint | number, digits: number): string {
  return value.toString(16).padStart(digits, "0");
}

/** The instruction's bytes and iced's reading of them. */
export function listing(request: Case): string {
  const decoder = new Decoder(request.mode, request.code, DecoderOptions.None);
  decoder.ip = BigInt(request.codeOffset) + (request.mode === 16 ? 0n : 0x2000_0000n);
  const text = new Formatter(FormatterSyntax.Nasm).format(decoder.decode());
  return `${request.mode}-bit  ${Array.from(request.code, (byte) => hex(byte, 2)).join(" ")}  ${text}`;
}

/** A failure as a reader wants it: the instruction, then before, host and ours side by side, * where they differ. */
export function report(title: string, request: Case, host: Outcome, ours: Outcome, ignored: Ignored): string {
  const rows = lines(request, host, ours, ignored).map(
    (line) =>
      `${line.host === line.ours ? " " : "*"} ${line.name.padEnd(11)} ${line.before.padEnd(34)} ${line.host.padEnd(34)} ${line.ours}`,
  );
  const pages = request.pages.map((access) => ["none", "read", "write"][access]).join(", ");
  return [
    title,
    `  ${listing(request)}`,
    `  pages: ${pages}`,
    `  ${"".padEnd(11)} ${"before".padEnd(34)} ${"host".padEnd(34)} ours`,
    ...rows,
  ].join("\n");
}
