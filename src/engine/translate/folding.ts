import type { Slot, Value } from "../../ir/node.ts";
import { conversions, evaluateOperation } from "../../ir/operations.ts";
import { bitsOf } from "../../ir/types.ts";
import { State } from "../../x86/state.ts";
import { isSpecial, placeNumber } from "./numbers.ts";
import type { OpenNumber, Place } from "./passage.ts";
import type { Template } from "./template.ts";

/** A number of the instruction that is being lowered. */
export type FieldReader = (name: string) => bigint;

const mask64 = (1n << 64n) - 1n;

/** What an instruction's values are when the numbers of its record are known. */
export class Folding {
  readonly #template: Template | undefined;
  readonly #field: FieldReader;
  readonly #folded: Map<number, bigint | Value>;

  /** @param template The instruction's; undefined for IR that has no numbers. */
  constructor(
    template: Template | undefined,
    field: FieldReader,
    folded: ReadonlyMap<number, bigint | Value> = new Map(),
  ) {
    this.#template = template;
    this.#field = field;
    this.#folded = new Map(folded);
  }

  copy(): Folding {
    return new Folding(this.#template, this.#field, this.#folded);
  }

  /** What a value is when the record's numbers are known: a constant, or a simpler value. */
  fold(value: Value): bigint | Value {
    switch (value.kind) {
      case "const":
        return value.value;
      case "field":
        return this.#number(value);
      case "operation":
      case "convert":
      case "get":
        break;
      default:
        return value;
    }
    if (this.#template?.foldable.has(value.id) === false) return value;
    const known = this.#folded.get(value.id);
    if (known !== undefined) return known;
    let folded = this.simplify(value);
    // A value that is held is what it was there, whatever its operands become.
    if (typeof folded !== "bigint" && this.#template?.held.has(value.id) === true) folded = value;
    this.#folded.set(value.id, folded);
    return folded;
  }

  /** A number of the record: itself where the code is made for any. */
  #number(value: Value & { kind: "field" }): bigint | Value {
    const use = this.#template?.numbers;
    if (use?.positional === false && placeNumber(value) !== undefined) return value;
    const number = this.#field(value.name);
    const any = value.name === "displacement" || (value.name === "immediate" && use?.immediate === "data");
    return any && !isSpecial(number) ? value : BigInt.asUintN(bitsOf[value.type], number);
  }

  /** The number that a value is whatever it is: its instruction's code is made for any. */
  open(value: Value): OpenNumber | undefined {
    const field = value.kind === "convert" && value.name === "trunc" ? value.operand : value;
    if (field.kind !== "field" || typeof this.fold(field) === "bigint") return undefined;
    return field.name === "immediate" || field.name === "displacement"
      ? { name: field.name, type: value.type }
      : undefined;
  }

  /** As fold, without regard to where the value is held. */
  simplify(value: Value & { kind: "operation" | "convert" | "get" }): bigint | Value {
    if (value.kind === "get") return this.slot(value.slot) === State.zero ? 0n : value;
    if (value.kind === "convert") {
      const operand = this.fold(value.operand);
      if (typeof operand !== "bigint") return value;
      return BigInt.asUintN(
        bitsOf[value.type],
        conversions[value.name](bitsOf[value.operand.type], bitsOf[value.type], operand),
      );
    }
    if (value.type === "v128") return value;
    const { name, operands } = value;
    const [a, b] = [this.fold(operands[0]!), operands.length > 1 ? this.fold(operands[1]!) : undefined];
    if (name === "select" && typeof a === "bigint") return this.fold(operands[a !== 0n ? 1 : 2]!);
    if (typeof a === "bigint" && (b === undefined || typeof b === "bigint") && operands.length <= 2) {
      if (operands.some(({ type }) => type === "v128")) return value;
      const types = operands.map(({ type }) => type);
      return evaluateOperation(name, types, b === undefined ? [a] : [a, b], value.lane);
    }
    if (b === undefined) return value;
    switch (name) {
      case "add":
      case "or":
      case "xor":
        if (a === 0n) return b;
        return b === 0n ? a : value;
      case "sub":
      case "shl":
      case "shr":
      case "sar":
      case "rotl":
      case "rotr":
        if (a === 0n && name !== "sub") return 0n;
        return b === 0n ? a : value;
      case "and": {
        if (a === 0n || b === 0n) return 0n;
        const ones = BigInt.asUintN(bitsOf[value.type], mask64);
        if (a === ones) return b;
        return b === ones ? a : value;
      }
      default:
        return value;
    }
  }

  /** A slot's offset, which the record decides at the latest. */
  slot(slot: Slot): number {
    if (typeof slot === "number") return slot;
    const folded = this.fold(slot);
    if (typeof folded !== "bigint") throw new Error("a region's slots are known");
    return Number(folded);
  }

  /** The place in code whose address a value is, if it is one. */
  place(value: Value): Place | undefined {
    if (value.type !== "i64") return undefined;
    if (value.kind === "operation" && value.name === "add") {
      const from = placeNumber(value.operands[1]!);
      const page = from === undefined ? undefined : this.place(value.operands[0]!);
      if (from !== undefined && page?.from === "page") return { from, offset: page.offset };
    }
    const folded = this.fold(value);
    if (typeof folded === "bigint") return undefined;
    if (folded.kind === "get")
      return this.slot(folded.slot) === State.ripPage ? { from: "page", offset: 0 } : undefined;
    if (folded.kind !== "operation" || folded.name !== "add") return undefined;
    const [base, addend] = folded.operands as [Value, Value];
    const place = this.place(base);
    if (place === undefined) return undefined;
    if (this.open(addend)?.name === "displacement" && place.from === "page")
      return { from: "displacement", offset: place.offset };
    const constant = this.fold(addend);
    if (typeof constant !== "bigint") return undefined;
    const offset = place.offset + Number(BigInt.asIntN(64, constant));
    return Number.isSafeInteger(offset) ? { from: place.from, offset } : undefined;
  }
}
