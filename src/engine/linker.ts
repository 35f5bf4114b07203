import type { Block, Ending, Routine } from "../ir/node.ts";
import type { Code } from "../wasm/code.ts";
import { ModuleBuilder } from "../wasm/module.ts";
import type { FunctionType } from "../wasm/types.ts";
import { FunctionLowering } from "./lower/function.ts";
import type { Surroundings } from "./lower/lowering.ts";
import { directCalls } from "./calls.ts";
import { firstRegionSlot } from "./dispatch.ts";
import { wasmType } from "./lower/operations.ts";

/** A function that answers for the platform: (vcpu, …i32) → i32. */
export type HostFunction = (vcpu: number, ...parameters: number[]) => number;

/** (vcpu, record) → Ending: one form of an instruction. */
export const formType: FunctionType = { parameters: ["i32", "i32"], results: ["i32"] };

/** (vcpu, budget left, rip, entry) → an Ending or `interpret`, the budget left in State.dispatchRemaining: a region. */
export const regionType: FunctionType = { parameters: ["i32", "i32", "i64", "i32"], results: ["i32"] };

export function routineType(routine: Routine): FunctionType {
  const results = routine.results.map(wasmType);
  return {
    parameters: ["i32", ...routine.parameters.map(wasmType)],
    // A routine that can fault says so above its results.
    results: routine.faults ? [...results, "i32"] : results,
  };
}

/** Collects what functions call, as far as it is not compiled already. */
class Collection {
  readonly routines = new Set<Routine>();
  readonly hosts = new Map<string, number>();
  readonly #compiled: { has(routine: Routine): boolean };

  constructor(compiled: { has(routine: Routine): boolean }) {
    this.#compiled = compiled;
  }
  body(block: Block): void {
    const calls = directCalls(block);
    for (const routine of calls.routines) this.routine(routine);
    for (const [name, parameters] of calls.hosts) this.hosts.set(name, parameters);
  }
  routine(routine: Routine): void {
    if (this.routines.has(routine)) return;
    this.routines.add(routine);
    if (!this.#compiled.has(routine)) this.body(routine.body());
  }
}

/** The functions that a module under construction can call. */
export interface Callees {
  routine(routine: Routine): number;
  host(name: string): number;
  readonly module: ModuleBuilder;
}

/** A function to be put into the table. */
export interface TableFunction {
  readonly slot: number;
  /** For profiles. */
  readonly name: string;
  readonly body: Block;
}

/**
 * Compiles IR into module instances over one memory and one function table. A routine is compiled once, in the first
 * module that needs it, and imported by later ones.
 */
export class Linker {
  readonly table: WebAssembly.Table;
  readonly #memory: WebAssembly.Memory;
  readonly #pages: { readonly minimum: number; readonly maximum: number };
  readonly #hosts: Readonly<Record<string, HostFunction>>;
  readonly #routines = new Map<Routine, unknown>();
  /** Routines that lowering calls without the IR saying so: the slow paths of memory accesses. */
  readonly #implicit: readonly Routine[];

  constructor(
    memory: WebAssembly.Memory,
    pages: { minimum: number; maximum: number },
    hosts: Readonly<Record<string, HostFunction>>,
    implicit: readonly Routine[],
  ) {
    this.#memory = memory;
    this.#pages = pages;
    this.#hosts = hosts;
    this.#implicit = implicit;
    this.table = new WebAssembly.Table({ element: "anyfunc", initial: 2 * firstRegionSlot });
  }

  /**
   * Makes and instantiates a module.
   * @param inlined Bodies that `extra` lowers into functions of its own, given the callees.
   * @returns the exports.
   */
  link(
    functions: readonly TableFunction[],
    roots: readonly Routine[] = [],
    inlined: Iterable<Block> = [],
    extra?: (callees: Callees) => void,
  ): Readonly<Record<string, unknown>> {
    const collection = new Collection(this.#routines);
    for (const root of [...this.#implicit, ...roots]) collection.routine(root);
    for (const { body } of functions) collection.body(body);
    for (const body of inlined) collection.body(body);
    const { routines, hosts } = collection;
    const module = new ModuleBuilder();
    module.importMemory("env", "memory", { ...this.#pages, shared: true });
    module.importTable("env", "table", { minimum: 1 });
    const hostIndex = new Map<string, number>();
    for (const [name, parameters] of hosts) {
      if (this.#hosts[name] === undefined) throw new Error(`nothing answers "${name}"`);
      hostIndex.set(
        name,
        module.importFunction("host", name, {
          parameters: Array.from({ length: parameters + 1 }, () => "i32" as const),
          results: ["i32"],
        }),
      );
    }
    const routineIndex = new Map<Routine, number>();
    const imported: Record<string, unknown> = {};
    for (const routine of routines) {
      const known = this.#routines.get(routine);
      if (known === undefined) continue;
      // Two routines may have one name.
      const key = `${routine.name}#${routineIndex.size}`;
      imported[key] = known;
      routineIndex.set(routine, module.importFunction("routine", key, routineType(routine)));
    }
    const fresh = [...routines].filter((routine) => !routineIndex.has(routine));
    for (const routine of fresh) routineIndex.set(routine, module.declare(routineType(routine)));
    const callees: Callees = {
      module,
      routine(routine) {
        const index = routineIndex.get(routine);
        if (index === undefined) throw new Error(`${routine.name} was not collected`);
        return index;
      },
      host(name) {
        const index = hostIndex.get(name);
        if (index === undefined) throw new Error(`host "${name}" was not collected`);
        return index;
      },
    };
    for (const routine of fresh) {
      const index = callees.routine(routine);
      module.define(index, (code) => lowerRoutine(code, callees, routine));
      module.export(`r:${index}`, index);
      module.name(index, routine.name);
    }
    for (const { slot, name, body } of functions) {
      const index = module.function(formType, (code) => lowerForm(code, callees, body));
      module.name(index, name);
      module.elements(slot, [index]);
    }
    extra?.(callees);
    const instance = new WebAssembly.Instance(new WebAssembly.Module(module.finish()), {
      env: { memory: this.#memory, table: this.table },
      host: this.#hosts,
      routine: imported,
    });
    for (const routine of fresh) this.#routines.set(routine, instance.exports[`r:${callees.routine(routine)}`]);
    return instance.exports;
  }

  /** 64 KiB pages of the memory. */
  get pages(): number {
    return this.#pages.maximum;
  }

  /**
   * Instantiates a module that was made elsewhere, over the same memory and table.
   * @param imports What it imports besides: functions and constants, by module and name.
   */
  instantiate(
    bytes: Uint8Array<ArrayBuffer>,
    routines: readonly Routine[],
    imports: Readonly<Record<string, Record<string, unknown>>>,
  ): void {
    const routine = Object.fromEntries(routines.map((each) => [each.name, this.routine(each)]));
    void new WebAssembly.Instance(new WebAssembly.Module(bytes), {
      env: { memory: this.#memory, table: this.table },
      routine,
      ...imports,
    });
  }

  /** A compiled routine, to be called from JavaScript. */
  routine(routine: Routine): (...parameters: unknown[]) => unknown {
    if (!this.#routines.has(routine)) this.link([], [routine]);
    return this.#routines.get(routine) as (...parameters: unknown[]) => unknown;
  }
}

/** The surroundings of a function whose parameter 0 is the vCPU's base. */
export function surroundings(code: Code, callees: Callees): Pick<Surroundings, "vcpu" | "local" | "routine" | "host"> {
  return {
    vcpu: 0,
    local: (type) => code.local(type),
    routine: (routine) => callees.routine(routine),
    host: (name) => callees.host(name),
  };
}

function lowerRoutine(code: Code, callees: Callees, routine: Routine): void {
  const zeros = () => {
    for (const type of routine.results) {
      if (wasmType(type) === "i64") code.i64(0n);
      else if (type === "v128") code.v128(0n);
      else code.i32(0);
    }
  };
  const ending = (put: () => void) => {
    if (!routine.faults) throw new Error(`${routine.name} ends otherwise than by returning`);
    zeros();
    put();
    code.return();
  };
  const body = routine.body();
  new FunctionLowering(
    code,
    {
      ...surroundings(code, callees),
      record: undefined,
      leave: (value: Ending) => ending(() => code.i32(value)),
      leaveWith: (local) => ending(() => code.get(local)),
      returnValues(emit) {
        emit();
        if (routine.faults) code.i32(0);
        code.return();
      },
    },
    body,
  ).statements(body);
  code.op("unreachable");
}

function lowerForm(code: Code, callees: Callees, body: Block): void {
  new FunctionLowering(
    code,
    {
      ...surroundings(code, callees),
      record: 1,
      leave(ending) {
        code.i32(ending);
        code.return();
      },
      leaveWith(local) {
        code.get(local);
        code.return();
      },
      returnValues() {
        throw new Error("an instruction returns no values");
      },
    },
    body,
  ).statements(body);
  code.i32(0);
}
