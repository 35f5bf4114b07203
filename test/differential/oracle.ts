/**
 * The BigInt oracle as a machine that executes cases: decodes, makes the form's IR as the interpreter does, and
 * evaluates it on plain numbers over a flat memory. Exceptions end an execution where they are raised; what delivers
 * them, and whatever else needs a whole engine, is {@link Unsupported}.
 */
import type { SegmentState } from "../../src/engine/engine.ts";
import { buildForm, formKey, formOf } from "../../src/engine/forms.ts";
import { fieldLoads, recordBytes, writeRecord } from "../../src/engine/record.ts";
import { theOpcodeMap } from "../../src/engine/wasm-engine.ts";
import { lazyOf, statusOf } from "../../src/engine/context.ts";
import { evaluate, type Machine } from "../../src/ir/evaluate.ts";
import { Ending, type Access, type Block } from "../../src/ir/node.ts";
import { bitsOf, type Type } from "../../src/ir/types.ts";
import { decode, type Decoded } from "../../src/x86/decode/decode.ts";
import type { OpcodeMap } from "../../src/x86/decode/opcode-map.ts";
import { Segment, SegmentField, State, gprSlot, segmentSlot, stateBytes, xmmSlot } from "../../src/x86/state.ts";
import { endOf } from "./results.ts";
import { segmentsOf } from "./segments.ts";
import {
  Access as PageAccess,
  CODE,
  CODE_SIZE,
  FX_SIZE,
  INITIAL_FX,
  WINDOW,
  WINDOW_SIZE,
  windowPattern,
  type Case,
  type Outcome,
  type Patch,
} from "./wire.ts";

const STATUS = 0x8d5;
const [GP, SS, PF, UD, AC] = [13, 12, 14, 6, 17] as const;
const ALIGNMENT_CHECK = 1 << 18;
const MODES = { 16: 0, 32: 1, 64: 2 } as const;
const USER = 4;
const WRITE = 2;
const PRESENT = 1;

/** @returns a function that executes a case; its outcome is undefined for instructions that the oracle cannot execute alone. */
export function oracle(map: OpcodeMap = theOpcodeMap()): (request: Case) => Outcome | undefined {
  const blocks = new Map<number, Block>();
  return (request) => {
    try {
      return new OracleMachine(map, blocks, request).run();
    } catch (error) {
      if (error instanceof Unsupported) return undefined;
      throw error;
    }
  };
}

/** An exception that an access raised. */
class Fault extends Error {
  readonly vector: number;
  readonly errorCode: number;
  constructor(vector: number, errorCode: number) {
    super(`vector ${vector}, error code ${errorCode}`);
    this.vector = vector;
    this.errorCode = errorCode;
  }
}

/** The IR uses what only a whole engine has: the platform, descriptor tables, translations. */
class Unsupported extends Error {}

const bytesOfType = (type: Type): number => Math.max(8, bitsOf[type]) / 8;

class OracleMachine implements Machine {
  readonly #state = new DataView(new ArrayBuffer(stateBytes));
  readonly #map: OpcodeMap;
  /** The IR of each form that was needed so far. */
  readonly #blocks: Map<number, Block>;
  readonly #request: Case;
  readonly #window = windowPattern();
  readonly #code = new Uint8Array(CODE_SIZE).fill(0xcc);
  readonly #record = new DataView(new ArrayBuffer(recordBytes));
  #faultAddress = 0n;

  constructor(map: OpcodeMap, blocks: Map<number, Block>, request: Case) {
    this.#map = map;
    this.#blocks = blocks;
    this.#request = request;
    for (const { offset, bytes } of request.patches) this.#window.set(bytes, offset);
    this.#code.set(request.code, request.codeOffset);
    loadState(this.#state, request);
  }

  run(): Outcome {
    const request = this.#request;
    const before = this.#window.slice();
    const start = BigInt(request.codeOffset + (request.mode === 16 ? 0 : CODE));
    let end: ReturnType<typeof endOf>;
    try {
      end = { kind: "reached", vector: 0, errorCode: 0, faultAddress: 0n, rip: this.#step() };
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      end = endOf({ vector: error.vector, errorCode: error.errorCode, rip: start, cr2: this.#faultAddress }, request);
    }
    return { ...end, ...readState(this.#state, request), changes: changesOf(before, this.#window) };
  }

  /** Executes one instruction. @returns where it goes on. */
  #step(): bigint {
    const { mode, codeOffset } = this.#request;
    const decoded = decode(this.#map, this.#code, codeOffset, mode);
    if (decoded === "too-long") throw new Fault(GP, 0);
    if (decoded === "undefined") throw new Fault(UD, 0);
    if (decoded === "truncated") this.#translate(BigInt(CODE + CODE_SIZE), 0x10);
    const instruction = decoded as Decoded;
    writeRecord(this.#record, 0, instruction, codeOffset, { handler: 0, form: 0 });
    const block = this.#blockOf(instruction);
    const page = BigInt(mode === 16 ? 0 : CODE);
    for (let rounds = 0; rounds < 0x10000; rounds++) {
      const outcome = evaluate(block, this);
      if (outcome.kind === "fault") throw new Fault(outcome.fault.vector, outcome.fault.errorCode ?? 0);
      switch (outcome.kind === "end" ? outcome.ending : Ending.next) {
        case Ending.next:
          return page + BigInt(codeOffset + instruction.length);
        case Ending.branch:
        case Ending.resynchronise:
          return this.#state.getBigUint64(State.rip, true);
        case Ending.again:
          continue;
        default:
          throw new Unsupported("an exit to the hypervisor");
      }
    }
    throw new Error("a repeated instruction does not end");
  }

  #blockOf(instruction: Decoded): Block {
    const form = formOf(instruction, this.#request.mode);
    const key = formKey(instruction.row, form);
    const known = this.#blocks.get(key);
    if (known !== undefined) return known;
    const block = buildForm(instruction.row, form);
    this.#blocks.set(key, block);
    return block;
  }

  field(name: string): bigint {
    const [instruction, offset] = fieldLoads[name as keyof typeof fieldLoads];
    if (name === "addressMask") return 0xffff_ffff_ffff_ffffn >> BigInt(this.#record.getUint8(offset));
    switch (instruction) {
      case "i32.load8_u":
        return BigInt(this.#record.getUint8(offset));
      case "i32.load16_u":
        return BigInt(this.#record.getUint16(offset, true));
      case "i64.load":
        return this.#record.getBigInt64(offset, true);
      case "i64.load32_s":
        return BigInt(this.#record.getInt32(offset, true));
    }
  }

  get(type: Type, slot: number): bigint {
    let value = 0n;
    for (let i = bytesOfType(type) - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.#state.getUint8(slot + i));
    return BigInt.asUintN(bitsOf[type], value);
  }

  set(type: Type, slot: number, value: bigint): void {
    for (let i = 0; i < bytesOfType(type); i++)
      this.#state.setUint8(slot + i, Number((value >> BigInt(8 * i)) & 0xffn));
  }

  load(type: Type, address: bigint, access: Access): bigint {
    const bytes = bytesOfType(type);
    const at = this.#locate(address, bytes, access, 0);
    let value = 0n;
    for (let i = bytes - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.#byteAt(at + i));
    return value;
  }

  store(type: Type, address: bigint, value: bigint, access: Access): undefined {
    const bytes = bytesOfType(type);
    const at = this.#locate(address, bytes, access, WRITE);
    for (let i = 0; i < bytes; i++) this.#window[at + i - WINDOW] = Number((value >> BigInt(8 * i)) & 0xffn);
    return undefined;
  }

  probe(address: bigint, bytes: number, access: Access): undefined {
    this.#locate(address, bytes, access, WRITE);
    return undefined;
  }

  host(name: string): bigint {
    throw new Unsupported(`the platform is asked for ${name}`);
  }
  hostLoad(): bigint {
    throw new Unsupported("linear memory is read");
  }
  hostStore(): void {
    throw new Unsupported("linear memory is written");
  }

  #byteAt(at: number): number {
    return at < CODE ? this.#window[at - WINDOW]! : this.#code[at - CODE]!;
  }

  /** Checks every byte's page. @returns the address as a number. */
  #locate(address: bigint, bytes: number, access: Access, kind: number): number {
    if (access.system === true) throw new Unsupported("a system access");
    const canonical = (linear: bigint): boolean =>
      BigInt.asUintN(64, BigInt.asIntN(48, linear)) === BigInt.asUintN(64, linear);
    const last = address + BigInt(bytes - 1);
    if (this.#request.mode === 64 && !(canonical(address) && canonical(last)))
      throw new Fault(access.stack === true ? SS : GP, 0);
    if (access.aligned === true && (address & BigInt(bytes - 1)) !== 0n) throw new Fault(GP, 0);
    const checksAlignment = (this.#state.getUint32(State.flags, true) & ALIGNMENT_CHECK) !== 0 && bytes <= 8;
    if (checksAlignment && (address & BigInt(bytes - 1)) !== 0n) throw new Fault(AC, 0);
    this.#translate(address, kind);
    if (address >> 12n !== last >> 12n) this.#translate((last >> 12n) << 12n, kind);
    return Number(address);
  }

  /** Throws #PF where user mode may not go. */
  #translate(address: bigint, kind: number): void {
    const page = Number(BigInt.asUintN(64, address) >> 12n);
    const window = page - WINDOW / 0x1000;
    let access: PageAccess = PageAccess.none;
    if (window === 0 || window === 1) access = this.#request.pages[window];
    else if (page === CODE / 0x1000) access = PageAccess.read;
    if (access === PageAccess.write || (access === PageAccess.read && kind !== WRITE)) return;
    this.#faultAddress = BigInt.asUintN(64, address);
    throw new Fault(PF, USER | kind | (access === PageAccess.none ? 0 : PRESENT));
  }
}

function loadState(state: DataView, request: Case): void {
  request.gpr.forEach((value, i) => state.setBigUint64(gprSlot(i), value, true));
  const { result, aux } = lazyOf(request.rflags);
  state.setBigUint64(State.ccResult, result, true);
  state.setBigUint64(State.ccAux, aux, true);
  state.setUint32(State.flags, (request.rflags & ~STATUS) | 0x202, true);
  state.setUint32(State.cpl, 3, true);
  state.setUint32(State.mode, MODES[request.mode] | 8, true);
  state.setBigUint64(State.ripPage, BigInt(request.mode === 16 ? 0 : CODE), true);
  state.setBigUint64(State.cr0, 0x8005_0033n, true);
  state.setBigUint64(State.cr4, 0x5_0ea0n, true);
  state.setBigUint64(State.efer, 0xd01n, true);
  state.setBigUint64(State.xcr0, 3n, true);
  // Tables that are there, so that they get read, which is beyond the oracle.
  state.setUint32(State.gdtrLimit, 0xffff, true);
  state.setUint32(State.idtrLimit, 0xffff, true);
  state.setUint32(segmentSlot("ldtr") + SegmentField.limit, 0xffff, true);
  state.setUint16(segmentSlot("ldtr") + SegmentField.attributes, 0x82, true);
  const segments: Record<string, SegmentState> = segmentsOf(request);
  for (const [name, { base, limit, selector, attributes }] of Object.entries(segments)) {
    const at = segmentSlot(name as Segment);
    state.setBigUint64(at + SegmentField.base, base, true);
    state.setUint32(at + SegmentField.limit, limit, true);
    state.setUint16(at + SegmentField.selector, selector, true);
    state.setUint16(at + SegmentField.attributes, attributes, true);
  }
  const fx = request.fx ?? INITIAL_FX;
  const view = new DataView(fx.buffer, fx.byteOffset, FX_SIZE);
  const statusWord = view.getUint16(2, true);
  state.setUint32(State.fcw, view.getUint16(0, true), true);
  state.setUint32(State.fsw, statusWord, true);
  state.setUint32(State.ftw, view.getUint8(4), true);
  state.setUint32(State.mxcsr, view.getUint32(24, true), true);
  for (let i = 0; i < 8; i++) {
    const slot = State.x87 + (((statusWord >> 11) + i) & 7) * 16;
    for (let byte = 0; byte < 10; byte++) state.setUint8(slot + byte, view.getUint8(32 + 16 * i + byte));
  }
  for (let i = 0; i < 16; i++)
    for (let byte = 0; byte < 16; byte++) state.setUint8(xmmSlot(i) + byte, view.getUint8(160 + 16 * i + byte));
}

function readState(state: DataView, request: Case): Pick<Outcome, "rflags" | "gpr" | "fx" | "selectors" | "bases"> {
  const gpr = BigUint64Array.from({ length: 16 }, (_, i) => {
    const value = state.getBigUint64(gprSlot(i), true);
    return request.mode === 64 ? value : BigInt.asUintN(32, value);
  });
  const status = statusOf(state.getBigUint64(State.ccResult, true), state.getBigUint64(State.ccAux, true));
  const rflags = status | (state.getUint32(State.flags, true) & ~STATUS);
  const fx = (request.fx ?? INITIAL_FX).slice(0, FX_SIZE);
  const view = new DataView(fx.buffer);
  const statusWord = state.getUint32(State.fsw, true);
  view.setUint16(0, state.getUint32(State.fcw, true), true);
  view.setUint16(2, statusWord, true);
  view.setUint8(4, state.getUint32(State.ftw, true));
  view.setUint32(24, state.getUint32(State.mxcsr, true), true);
  for (let i = 0; i < 8; i++) {
    const slot = State.x87 + (((statusWord >> 11) + i) & 7) * 16;
    for (let byte = 0; byte < 10; byte++) view.setUint8(32 + 16 * i + byte, state.getUint8(slot + byte));
  }
  for (let i = 0; i < 16; i++)
    for (let byte = 0; byte < 16; byte++) view.setUint8(160 + 16 * i + byte, state.getUint8(xmmSlot(i) + byte));
  const names = ["es", "cs", "ss", "ds", "fs", "gs"] as const;
  const selectors = Uint16Array.from(names, (name) => state.getUint16(segmentSlot(name) + SegmentField.selector, true));
  const baseOf = (name: "fs" | "gs"): bigint => state.getBigUint64(segmentSlot(name) + SegmentField.base, true);
  return { rflags, gpr, fx, selectors, bases: [baseOf("fs"), baseOf("gs")] };
}

function changesOf(before: Uint8Array<ArrayBuffer>, after: Uint8Array<ArrayBuffer>): Patch[] {
  const changes: Patch[] = [];
  const [old, now] = [new BigUint64Array(before.buffer), new BigUint64Array(after.buffer)];
  for (let i = 0; i < WINDOW_SIZE / 8; i++)
    if (old[i] !== now[i]) changes.push({ offset: i * 8, bytes: after.slice(i * 8, i * 8 + 8) });
  return changes;
}
