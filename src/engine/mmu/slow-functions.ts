import { Ending } from "../../ir/node.ts";
import type { Access } from "../../ir/node.ts";
import { bitsOf } from "../../ir/types.ts";
import type { Type } from "../../ir/types.ts";
import type { Code } from "../../wasm/code.ts";
import type { FunctionType, ValueType } from "../../wasm/types.ts";
import { State } from "../../x86/state.ts";
import { interpret } from "../dispatch.ts";
import type { Callees } from "../linker.ts";
import { wasmType } from "../lower/operations.ts";
import { AccessFlag, meetsCode, slowLoad, slowStore } from "./slow-access.ts";

/**
 * The slow paths of a region's loads and stores, one function for each size and kind: in a region there is one call for
 * each access, nearly never taken, and what it costs there is space.
 */

const types: readonly Type[] = ["i8", "i16", "i32", "i64"];
const kinds = { plain: 0, stack: AccessFlag.stack } as const;

/** A slow function: its name, and how it is made. */
interface SlowFunction {
  readonly name: string;
  readonly type: FunctionType;
  emit(code: Code, callees: Callees): void;
}

function load(type: Type, kind: keyof typeof kinds): SlowFunction {
  const value = wasmType(type) as "i32" | "i64";
  return {
    name: `load ${type} ${kind}`,
    type: { parameters: ["i32", "i64"], results: [value] },
    emit(code, callees) {
      const [loaded, status] = [code.local("i64"), code.local("i32")];
      code.get(0);
      code.get(1);
      code.i32(bitsOf[type] / 8);
      code.i32(kinds[kind]);
      code.call(callees.routine(slowLoad));
      code.set(status);
      code.set(loaded);
      code.get(0);
      code.get(status);
      code.memory("i32.store", State.slowStatus);
      code.get(loaded);
      if (value === "i32") code.op("i32.wrap_i64");
    },
  };
}

/** A store that meets code is left to the interpreter. */
function store(type: Type, kind: keyof typeof kinds): SlowFunction {
  const value: ValueType = wasmType(type);
  return {
    name: `store ${type} ${kind}`,
    type: { parameters: ["i32", "i64", value], results: ["i32"] },
    emit(code, callees) {
      const [meets, status] = [code.local("i32"), code.local("i32")];
      const place = () => {
        code.i32(bitsOf[type] / 8);
        code.i32(kinds[kind]);
      };
      code.get(0);
      code.get(1);
      place();
      code.call(callees.routine(meetsCode));
      code.set(status);
      code.set(meets);
      code.get(status);
      code.if();
      code.i32(Ending.fault);
      code.return();
      code.end();
      code.get(meets);
      code.if();
      code.i32(interpret);
      code.return();
      code.end();
      code.get(0);
      code.get(1);
      code.get(2);
      if (value === "i32") code.op("i64.extend_i32_u");
      place();
      code.call(callees.routine(slowStore));
    },
  };
}

/** Every slow function there is. */
export const slowFunctions: readonly SlowFunction[] = types.flatMap((type) => [
  load(type, "plain"),
  load(type, "stack"),
  store(type, "plain"),
  store(type, "stack"),
]);

/** The name of the function for an access; undefined where there is none. */
export function slowFunctionName(direction: "load" | "store", type: Type, access: Access): string | undefined {
  if (access.system === true || access.aligned === true || !types.includes(type)) return undefined;
  return `${direction} ${type} ${access.stack === true ? "stack" : "plain"}`;
}
