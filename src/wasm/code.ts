import { ByteWriter } from "./bytes.ts";
import { Lane, Memory, Plain } from "./opcodes.ts";
import { ValueType } from "./types.ts";

/** A place that a branch leads to: the end of a block or if, the beginning of a loop. */
export interface Label {
  readonly depth: number;
}

/** Where an if or br_if is, and whether its condition nearly always holds, or nearly never. */
export interface BranchHint {
  readonly at: number;
  readonly likely: boolean;
}

/** A finished function, as the code section has it behind its size; offsets count from its beginning. */
export interface FunctionBody {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly hints: readonly BranchHint[];
  /** Where calls stand whose callees are not known yet, for {@link fillCall}: in the order in which they were emitted. */
  readonly openCalls: readonly number[];
}

/** Functions of a module that {@link Code.openCall} may call. */
export const openCallees = 1 << 14;

/** Gives a call that was left open the index of its callee, in a function that may have been in another module before. */
export function fillCall(body: Uint8Array, at: number, callee: number): void {
  body[at] = (callee & 0x7f) | 0x80;
  body[at + 1] = callee >> 7;
}

/** Finished instructions that can be copied into functions: {@link Code.take}. */
export interface Piece {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Where its hinted branches are, twice, plus one where the condition is likely. */
  readonly hints: readonly number[];
}

/** The body of one function: its locals and its instructions. Branch targets are labels, not relative depths. */
export class Code {
  readonly #code = new ByteWriter();
  #locals: ValueType[] = [];
  #parameters: number;
  /** The offsets of hinted branches, twice, plus one where the condition is likely. */
  #hints: number[] = [];
  #openCalls: number[] = [];
  #depth = 0;
  /** Instructions so far. */
  operations = 0;

  constructor(parameters: number) {
    this.#parameters = parameters;
  }

  /** Declares a local, zero at entry. @returns its index. */
  local(type: ValueType): number {
    this.#locals.push(type);
    return this.#parameters + this.#locals.length - 1;
  }

  #opcode(opcode: number): void {
    this.operations += 1;
    if (opcode > 0xff) {
      this.#code.u8(opcode >> 12);
      this.#code.unsigned(opcode & 0xfff);
    } else {
      this.#code.u8(opcode);
    }
  }

  op(name: Plain): void {
    this.#opcode(Plain[name]);
  }

  /** A load, store or atomic at a constant offset from the address on the stack. Atomics declare natural alignment. */
  memory(name: Memory, offset: number): void {
    const [opcode, size] = Memory[name];
    this.#opcode(opcode);
    this.#code.unsigned(opcode >> 12 === 0xfe ? 31 - Math.clz32(size) : 0);
    this.#code.unsigned(offset);
  }

  lane(name: Lane, lane: number): void {
    this.#opcode(Lane[name]);
    this.#code.u8(lane);
  }

  shuffle(lanes: readonly number[]): void {
    this.#opcode(0xfd00d);
    for (const lane of lanes) this.#code.u8(lane);
  }

  i32(value: number): void {
    this.#opcode(0x41);
    this.#code.signed32(value);
  }

  i64(value: bigint | number): void {
    this.#opcode(0x42);
    this.#code.signed64(value);
  }

  f32(value: number): void {
    this.#opcode(0x43);
    this.#code.f32(value);
  }

  f64(value: number): void {
    this.#opcode(0x44);
    this.#code.f64(value);
  }

  /** A vector constant: the 128 bits as a BigInt. */
  v128(value: bigint): void {
    this.#opcode(0xfd00c);
    for (let index = 0n; index < 16n; index++) this.#code.u8(Number((value >> (index * 8n)) & 0xffn));
  }

  get(local: number): void {
    this.#opcode(0x20);
    this.#code.unsigned(local);
  }

  set(local: number): void {
    this.#opcode(0x21);
    this.#code.unsigned(local);
  }

  tee(local: number): void {
    this.#opcode(0x22);
    this.#code.unsigned(local);
  }

  global(index: number): void {
    this.#opcode(0x23);
    this.#code.unsigned(index);
  }

  #open(opcode: number, result?: ValueType): Label {
    this.#opcode(opcode);
    this.#code.u8(result === undefined ? 0x40 : ValueType[result]);
    this.#depth += 1;
    return { depth: this.#depth };
  }

  block(result?: ValueType): Label {
    return this.#open(0x02, result);
  }

  loop(result?: ValueType): Label {
    return this.#open(0x03, result);
  }

  if(result?: ValueType): Label {
    return this.#open(0x04, result);
  }

  else(): void {
    this.#opcode(0x05);
  }

  /** Closes the innermost block, loop or if. */
  end(): void {
    this.#opcode(0x0b);
    this.#depth -= 1;
  }

  br(label: Label): void {
    this.#opcode(0x0c);
    this.#code.unsigned(this.#depth - label.depth);
  }

  brIf(label: Label): void {
    this.#opcode(0x0d);
    this.#code.unsigned(this.#depth - label.depth);
  }

  brTable(labels: readonly Label[], otherwise: Label): void {
    this.#opcode(0x0e);
    this.#code.unsigned(labels.length);
    for (const label of labels) this.#code.unsigned(this.#depth - label.depth);
    this.#code.unsigned(this.#depth - otherwise.depth);
  }

  call(index: number): void {
    this.#opcode(0x10);
    this.#code.unsigned(index);
  }

  /** A call to a function whose index is to be filled in when the body is put into a module. */
  openCall(): void {
    this.#opcode(0x10);
    this.#openCalls.push(this.#code.length);
    this.#code.u8(0x80);
    this.#code.u8(0);
  }

  returnCall(index: number): void {
    this.#opcode(0x12);
    this.#code.unsigned(index);
  }

  /** Calls through table 0; `type` is a type index of the module. */
  callIndirect(type: number): void {
    this.#opcode(0x11);
    this.#code.unsigned(type);
    this.#code.u8(0);
  }

  returnCallIndirect(type: number): void {
    this.#opcode(0x13);
    this.#code.unsigned(type);
    this.#code.u8(0);
  }

  return(): void {
    this.op("return");
  }

  memoryFill(): void {
    this.#opcode(0xfc00b);
    this.#code.u8(0);
  }

  memoryCopy(): void {
    this.#opcode(0xfc00a);
    this.#code.u8(0);
    this.#code.u8(0);
  }

  atomicFence(): void {
    this.#opcode(0xfe003);
    this.#code.u8(0);
  }

  /** Says of the if or br_if that is emitted next whether it is nearly always taken, or nearly never. */
  hint(likely: boolean): void {
    this.#hints.push(this.#code.length * 2 + Number(likely));
  }

  /** Constructs that are open. */
  get depth(): number {
    return this.#depth;
  }

  /** Takes the instructions out, as a piece, and begins anew with none. */
  take(): Piece {
    const piece = { bytes: this.#code.bytes(), hints: this.#hints };
    this.clear();
    return piece;
  }
  /** Begins anew with no instructions, as a function of so many parameters. */
  clear(parameters = 0): void {
    this.#parameters = parameters;
    this.#locals = [];
    this.operations = 0;
    this.#code.length = 0;
    this.#hints = [];
    this.#openCalls = [];
    this.#depth = 0;
  }

  /**
   * Copies a piece's bytes from `from` to `to`, whole instructions.
   * @param hint The piece's hints that earlier copies have used. @returns the same for the next one.
   */
  copy({ bytes, hints }: Piece, from: number, to: number, hint: number): number {
    const shift = this.#code.length - from;
    this.#code.copy(bytes, from, to);
    let next = hint;
    for (; next < hints.length && hints[next]! < to * 2; next++) this.#hints.push(hints[next]! + shift * 2);
    return next;
  }
  /** Says how many constructs the pieces that are copied have opened, or (negative) closed. */
  deepen(constructs: number): void {
    this.#depth += constructs;
  }

  /** The size of the instructions so far, in bytes. */
  get size(): number {
    return this.#code.length;
  }

  #localDeclarations(to: ByteWriter): void {
    const runs: [count: number, type: ValueType][] = [];
    for (const type of this.#locals) {
      const last = runs.at(-1);
      if (last !== undefined && last[1] === type) last[0] += 1;
      else runs.push([1, type]);
    }
    to.unsigned(runs.length);
    for (const [count, type] of runs) {
      to.unsigned(count);
      to.u8(ValueType[type]);
    }
  }

  /** Finishes the function. */
  finish(): FunctionBody {
    const body = new ByteWriter(this.#code.length + 64);
    this.#localDeclarations(body);
    const locals = body.length;
    body.append(this.#code.view());
    body.u8(0x0b);
    return {
      bytes: body.view(),
      hints: this.#hints.map((hint) => ({ at: (hint >> 1) + locals, likely: (hint & 1) !== 0 })),
      openCalls: this.#openCalls.map((at) => at + locals),
    };
  }
}
