/** The answers of native.c, and the reading of recorded requests. The layout is in wire.ts. */
import {
  CODE,
  FX_SIZE,
  INITIAL_FX,
  unsetRegister,
  type Access,
  type Case,
  type Mode,
  type Outcome,
  type Patch,
} from "./wire.ts";

const Vector = { debug: 1, breakpoint: 3, pageFault: 14 } as const;
const FETCH = 0x10;
const REACHED_EXIT = 0xff;
const HANG = 0xfe;

/** Unpacks the answers to `requests`. */
export function readResults(bytes: Uint8Array, requests: readonly Case[]): Outcome[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const outcomes = requests.map((request) => {
    const size = view.getUint16(at, true);
    const outcome = readResult(new DataView(bytes.buffer, bytes.byteOffset + at, size), request);
    at += size;
    return outcome;
  });
  if (at !== bytes.length) throw new Error(`native: ${bytes.length} bytes of results, ${at} expected`);
  return outcomes;
}

function readResult(view: DataView, request: Case): Outcome {
  let at = 30;
  let gpr = request.gpr;
  const gprMask = view.getUint16(28, true);
  if (gprMask !== 0) gpr = gpr.slice();
  for (let i = 0; gprMask >> i !== 0; i++) {
    if (((gprMask >> i) & 1) === 0) continue;
    // What 32-bit and 16-bit code leaves in the upper halves is not architecture.
    gpr[i] = request.mode === 64 ? view.getBigUint64(at, true) : BigInt(view.getUint32(at, true));
    at += 8;
  }
  let fx = request.fx ?? INITIAL_FX;
  const fxMask = [view.getUint32(at, true), view.getUint32(at + 4, true)] as const;
  at += 8;
  if (fxMask[0] !== 0 || fxMask[1] !== 0) fx = fx.slice(0, FX_SIZE);
  for (let i = 0; i < FX_SIZE / 8; i++) {
    if (((fxMask[i >> 5]! >> (i & 31)) & 1) === 0) continue;
    for (let byte = 0; byte < 8; byte++) fx[i * 8 + byte] = view.getUint8(at + byte);
    at += 8;
  }
  const selectors = new Uint16Array(6);
  for (let i = 0; i < 6; i++) selectors[i] = view.getUint16(at + 2 * i, true);
  const bases = [view.getBigUint64(at + 12, true), view.getBigUint64(at + 20, true)] as const;
  const changes: Patch[] = [];
  const count = view.getUint16(at + 28, true);
  at += 30;
  for (let i = 0; i < count; i++) {
    const offset = view.getUint16(at, true);
    const length = view.getUint16(at + 2, true);
    changes.push({ offset, bytes: new Uint8Array(view.buffer, view.byteOffset + at + 4, length).slice() });
    at += 4 + length;
  }
  return { ...readEnd(view, request), rflags: view.getUint32(24, true), gpr, fx, selectors, bases, changes };
}

/** How an execution ended, as a trap handler is told: what native.c and the interpreter's handlers both report. */
export interface Trap {
  readonly vector: number;
  readonly errorCode: number;
  readonly rip: bigint;
  readonly cr2: bigint;
}

type End = Pick<Outcome, "kind" | "vector" | "errorCode" | "faultAddress" | "rip">;

function reachedAt(rip: bigint): End {
  return { kind: "reached", vector: 0, errorCode: 0, faultAddress: 0n, rip };
}

/** Tells the end of the tested code from its faults: INT3s, unmapped pages and single-stepping all mean "got there". */
export function endOf({ vector, errorCode, rip, cr2 }: Trap, request: Case): End {
  const start = startOf(request);
  const inside = (where: bigint): boolean => where >= start && where < start + BigInt(request.code.length);
  if (vector === Vector.debug && (request.rflags & 0x100) !== 0) return reachedAt(rip);
  if (vector === Vector.breakpoint && !inside(rip - 1n)) return reachedAt(rip - 1n);
  if (vector === Vector.pageFault) {
    if ((errorCode & FETCH) !== 0 && !inside(rip)) return reachedAt(rip);
    return { kind: "fault", vector, errorCode, faultAddress: cr2, rip };
  }
  const hasErrorCode = (vector >= 10 && vector <= 13) || vector === 17;
  return { kind: "fault", vector, errorCode: hasErrorCode ? errorCode : 0, faultAddress: 0n, rip };
}

function readEnd(view: DataView, request: Case): End {
  const vector = view.getUint8(2);
  const rip = view.getBigUint64(8, true);
  if (vector === REACHED_EXIT) return reachedAt(rip);
  if (vector === HANG) return { kind: "hang", vector: 0, errorCode: 0, faultAddress: 0n, rip };
  return endOf({ vector, errorCode: view.getUint32(4, true), rip, cr2: view.getBigUint64(16, true) }, request);
}

/** The first instruction's address, as {@link Outcome.rip} counts. */
export function startOf(request: Case): bigint {
  return BigInt(request.codeOffset + (request.mode === 16 ? 0 : CODE));
}

const MODES: readonly Mode[] = [64, 32, 16];

/** Unpacks what {@link RequestWriter} packed. */
export function readRequests(bytes: Uint8Array): Case[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const cases: Case[] = [];
  for (let at = 0; at < bytes.length; at += view.getUint16(at, true))
    cases.push(readRequest(new DataView(bytes.buffer, bytes.byteOffset + at, view.getUint16(at, true))));
  return cases;
}

function readRequest(view: DataView): Case {
  let at = 16;
  const take = (length: number): Uint8Array => {
    const bytes = new Uint8Array(view.buffer, view.byteOffset + at, length).slice();
    at += length;
    return bytes;
  };
  const word = (): number => new DataView(take(2).buffer).getUint16(0, true);
  const qword = (): bigint => new DataView(take(8).buffer).getBigUint64(0, true);
  const pages = view.getUint8(6);
  const contents = view.getUint8(7);
  const gprMask = view.getUint16(12, true);
  at = 14;
  const gpr = BigUint64Array.from({ length: 16 }, (_, i) => (((gprMask >> i) & 1) === 0 ? unsetRegister(i) : qword()));
  const code = take(view.getUint8(2));
  const fx = (contents & 1) === 0 ? undefined : INITIAL_FX.slice();
  if (fx !== undefined) {
    const mask = qword();
    for (let i = 0; i < FX_SIZE / 8; i++) if (((mask >> BigInt(i)) & 1n) !== 0n) fx.set(take(8), i * 8);
  }
  const [cs, ss, ds, es, fs, gs] = (contents & 2) === 0 ? [] : Array.from({ length: 6 }, word);
  const bases = (contents & 4) === 0 ? undefined : ([qword(), qword()] as const);
  const patches: Patch[] = [];
  for (let left = take(1)[0]!; left > 0; left--) {
    const offset = word();
    patches.push({ offset, bytes: take(take(1)[0]!) });
  }
  return {
    mode: MODES[view.getUint8(3)]!,
    code,
    codeOffset: view.getUint16(4, true),
    gpr,
    rflags: view.getUint32(8, true),
    fx,
    selectors: gs === undefined ? undefined : { cs: cs!, ss: ss!, ds: ds!, es: es!, fs: fs!, gs },
    bases,
    pages: [(pages & 3) as Access, (pages >> 2) as Access],
    patches,
  };
}
