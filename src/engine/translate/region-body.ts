/** A region's function by itself: to be put into any module, now or in another process. */

import type { BranchHint, FunctionBody } from "../../wasm/code.ts";
import { ByteWriter } from "../../wasm/bytes.ts";
import { ValueType } from "../../wasm/types.ts";
import type { FunctionType } from "../../wasm/types.ts";

/** A routine that bodies call, as modules import it. */
export interface RoutineImport {
  readonly name: string;
  readonly type: FunctionType;
}

/** A region's function, and what its users must know of it. Nothing in it says where it is, or in which module. */
export interface RegionBody extends FunctionBody {
  /** What its open calls call, in their order. */
  readonly callees: readonly RoutineImport[];
  /** The instructions of which the exit records are to be copies, by their places among the job's. */
  readonly exits: readonly number[];
}

const typeNames = new Map(Object.entries(ValueType).map(([name, code]) => [code as number, name as ValueType]));

/** Writes a body down. */
export function encodeBody({ bytes, hints, openCalls, callees, exits }: RegionBody): Uint8Array<ArrayBuffer> {
  const to = new ByteWriter(bytes.length + 1024);
  const routines = [...new Map(callees.map((each) => [each.name, each])).values()];
  to.unsigned(routines.length);
  for (const { name, type } of routines) {
    to.name(name);
    for (const list of [type.parameters, type.results]) {
      to.unsigned(list.length);
      for (const each of list) to.u8(ValueType[each]);
    }
  }
  to.unsigned(openCalls.length);
  openCalls.forEach((at, index) => {
    to.unsigned(at);
    to.unsigned(routines.findIndex(({ name }) => name === callees[index]!.name));
  });
  to.unsigned(hints.length);
  for (const { at, likely } of hints) to.unsigned(at * 2 + Number(likely));
  to.unsigned(exits.length);
  for (const exit of exits) to.unsigned(exit);
  to.unsigned(bytes.length);
  to.append(bytes);
  return to.bytes();
}

/** Reads what {@link encodeBody} has written. @throws where it is something else. */
export function decodeBody(from: Uint8Array): RegionBody {
  let at = 0;
  const byte = (): number => {
    const value = from[at++];
    if (value === undefined) throw new Error("a body is cut off");
    return value;
  };
  const unsigned = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const next = byte();
      value += (next & 0x7f) * scale;
      if (next < 0x80) return value;
    }
  };
  const list = <T>(read: () => T): T[] => Array.from({ length: Math.min(unsigned(), from.length) }, read);
  const type = (): ValueType => {
    const name = typeNames.get(byte());
    if (name === undefined) throw new Error("a body names no type of a value");
    return name;
  };
  const routines = list((): RoutineImport => ({
    name: String.fromCharCode(...list(byte)),
    type: { parameters: list(type), results: list(type) },
  }));
  const openCalls: number[] = [];
  const callees = list(() => {
    openCalls.push(unsigned());
    const routine = routines[unsigned()];
    if (routine === undefined) throw new Error("a body calls no routine");
    return routine;
  });
  const hints = list((): BranchHint => {
    const hint = unsigned();
    return { at: Math.floor(hint / 2), likely: hint % 2 === 1 };
  });
  const exits = list(unsigned);
  const size = unsigned();
  if (size !== from.length - at) throw new Error("a body has another length");
  return { bytes: from.slice(at), hints, openCalls, callees, exits };
}
