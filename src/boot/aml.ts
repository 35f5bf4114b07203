/**
 * AML, the byte code of ACPI tables: just the objects that a domain's DSDT consists of. Each function returns the encoding
 * of one object. ACPI specification 6.5, chapter 20, "ACPI Machine Language (AML) Specification".
 */

import { assert } from "../bits/errors.ts";
import { asciiBytes } from "./cpio.ts";

/** Encoded AML. */
export type Aml = readonly number[];

/** §20.2.4: the length counts itself. One byte up to 63, else the low four bits and up to three further bytes. */
function packaged(body: Aml): Aml {
  if (body.length + 1 < 64) return [body.length + 1, ...body];
  const bytes = body.length + 2 < 1 << 12 ? 2 : body.length + 3 < 1 << 20 ? 3 : 4;
  const length = body.length + bytes;
  assert(length < 1 << 28, `AML package of ${length} bytes`);
  const following = Array.from({ length: bytes - 1 }, (_, i) => (length >>> (4 + 8 * i)) & 0xff);
  return [((bytes - 1) << 6) | (length & 15), ...following, ...body];
}

/** A name of four characters: a capital letter or underscore, then those or digits. */
function name(text: string): Aml {
  assert(/^[A-Z_][A-Z0-9_]{3}$/.test(text), `"${text}" is not an AML name`);
  return [...asciiBytes(text)];
}

/** An integer constant in its shortest form. */
export function integer(value: number): Aml {
  if (value === 0 || value === 1) return [value];
  const le = (bytes: number): number[] =>
    Array.from({ length: bytes }, (_, i) => Math.floor(value / 2 ** (8 * i)) % 256);
  if (value < 1 << 8) return [0x0a, ...le(1)];
  if (value < 1 << 16) return [0x0b, ...le(2)];
  return value < 2 ** 32 ? [0x0c, ...le(4)] : [0x0e, ...le(8)];
}

/** A string constant. */
export function string(text: string): Aml {
  return [0x0d, ...asciiBytes(text), 0];
}

/** A buffer of these bytes. */
export function buffer(bytes: readonly number[]): Aml {
  return [0x11, ...packaged([...integer(bytes.length), ...bytes])];
}

/** `Name (X, value)`. */
export function named(as: string, value: Aml): Aml {
  return [0x08, ...name(as), ...value];
}

/** `Scope (\X) { … }`. */
export function rootScope(of: string, ...body: readonly Aml[]): Aml {
  return [0x10, ...packaged([0x5c, ...name(of), ...body.flat()])];
}

/** `Device (X) { … }`. */
export function device(as: string, ...body: readonly Aml[]): Aml {
  return [0x5b, 0x82, ...packaged([...name(as), ...body.flat()])];
}

/** `Method (X, argumentCount, NotSerialized) { … }`. */
export function method(as: string, argumentCount: number, ...body: readonly Aml[]): Aml {
  return [0x14, ...packaged([...name(as), argumentCount, ...body.flat()])];
}

/** `OperationRegion (X, SystemMemory, address, bytes)`. */
export function memoryRegion(as: string, address: Aml, bytes: number): Aml {
  return [0x5b, 0x80, ...name(as), 0x00, ...address, ...integer(bytes)];
}

/** `Field (region, ByteAcc, NoLock, Preserve) { … }`: names and widths in bits, "" for a gap. */
export function field(region: string, ...units: readonly (readonly [name: string, bits: number])[]): Aml {
  const list = units.flatMap(([unit, bits]) => [...(unit === "" ? [0x00] : name(unit)), ...bitLength(bits)]);
  return [0x5b, 0x81, ...packaged([...name(region), 0x01, ...list])];
}

/** A width in bits, in the encoding of package lengths, which here does not count itself. */
function bitLength(bits: number): Aml {
  if (bits < 64) return [bits];
  assert(bits < 1 << 12, `an AML field of ${bits} bits`);
  return [0x40 | (bits & 15), bits >>> 4];
}

/** The value of a named object, or a call of a method with these arguments. */
export function reference(of: string, ...values: readonly Aml[]): Aml {
  return [...name(of), ...values.flat()];
}

/** `ArgN`. */
export function argument(index: number): Aml {
  return [0x68 + index];
}

/** `Return (value)`. */
export function returns(value: Aml): Aml {
  return [0xa4, ...value];
}

/** `If (condition) { … }`. */
export function when(condition: Aml, ...body: readonly Aml[]): Aml {
  return [0xa0, ...packaged([...condition, ...body.flat()])];
}

/** `LLess (left, right)`. */
export function less(left: Aml, right: Aml): Aml {
  return [0x95, ...left, ...right];
}

/** `Add (left, right)`, its result stored nowhere. */
export function add(left: Aml, right: Aml): Aml {
  return [0x72, ...left, ...right, 0x00];
}

/** `ToBuffer (value)`, its result stored nowhere. */
export function toBuffer(value: Aml): Aml {
  return [0x96, ...value, 0x00];
}

/** `Sleep (milliseconds)`. */
export function sleep(milliseconds: number): Aml {
  return [0x5b, 0x22, ...integer(milliseconds)];
}
