import { ByteWriter } from "./bytes.ts";
import { Code } from "./code.ts";
import type { FunctionBody } from "./code.ts";
import { ValueType } from "./types.ts";
import type { FunctionType, Limits } from "./types.ts";

const Section = { custom: 0, type: 1, import: 2, function: 3, export: 7, element: 9, code: 10 } as const;

function writeLimits(to: ByteWriter, limits: Limits): void {
  const shared = limits.shared === true ? 2 : 0;
  to.u8((limits.maximum === undefined ? 0 : 1) | shared);
  to.unsigned(limits.minimum);
  if (limits.maximum !== undefined) to.unsigned(limits.maximum);
}

type FinishedFunction = Pick<FunctionBody, "bytes" | "hints">;

/** Assembles a module of functions over an imported memory and table. WebAssembly core specification, "Modules". */
export class ModuleBuilder {
  readonly #types = new Map<string, number>();
  readonly #typesSeen = new Map<FunctionType, number>();
  readonly #typeList: FunctionType[] = [];
  readonly #imports = new ByteWriter();
  #importCount = 0;
  #functionImports = 0;
  #globalImports = 0;
  readonly #functions: { readonly type: number; body: FinishedFunction | undefined }[] = [];
  /** What bodies are made in, one after another. */
  #code: Code | undefined;
  readonly #exports: { readonly name: string; readonly index: number }[] = [];
  readonly #names: { readonly name: string; readonly index: number }[] = [];
  readonly #elements: { readonly offset: number; readonly functions: readonly number[] }[] = [];

  type(type: FunctionType): number {
    let index = this.#typesSeen.get(type);
    if (index === undefined) {
      index = this.#typeIndex(type);
      this.#typesSeen.set(type, index);
    }
    return index;
  }
  #typeIndex(type: FunctionType): number {
    const key = `${type.parameters.join()}:${type.results.join()}`;
    const known = this.#types.get(key);
    if (known !== undefined) return known;
    this.#types.set(key, this.#typeList.length);
    return this.#typeList.push(type) - 1;
  }

  #import(module: string, name: string, kind: number): void {
    this.#imports.name(module);
    this.#imports.name(name);
    this.#imports.u8(kind);
    this.#importCount += 1;
  }

  importMemory(module: string, name: string, limits: Limits): void {
    this.#import(module, name, 2);
    writeLimits(this.#imports, limits);
  }

  importTable(module: string, name: string, limits: Limits): void {
    this.#import(module, name, 1);
    this.#imports.u8(0x70);
    writeLimits(this.#imports, limits);
  }

  /** An imported constant. @returns the global's index. */
  importGlobal(module: string, name: string, type: ValueType): number {
    this.#import(module, name, 3);
    this.#imports.u8(ValueType[type]);
    this.#imports.u8(0);
    return this.#globalImports++;
  }

  /** Imported functions come before the module's own. @returns the function's index. */
  importFunction(module: string, name: string, type: FunctionType): number {
    if (this.#functions.length > 0) throw new Error("functions are imported before any is defined");
    this.#import(module, name, 0);
    this.#imports.unsigned(this.type(type));
    return this.#functionImports++;
  }

  /** Reserves an index, so that functions may call each other in any order. {@link define} gives it its body. */
  declare(type: FunctionType): number {
    this.#functions.push({ type: this.type(type), body: undefined });
    return this.#functionImports + this.#functions.length - 1;
  }

  define(index: number, body: (code: Code) => void): void {
    const entry = this.#functions[index - this.#functionImports];
    if (entry === undefined || entry.body !== undefined) throw new Error(`function ${index} is not open for a body`);
    const code = this.#code ?? new Code(0);
    this.#code = undefined;
    code.clear(this.#typeList[entry.type]?.parameters.length ?? 0);
    body(code);
    entry.body = code.finish();
    this.#code = code;
  }

  function(type: FunctionType, body: (code: Code) => void): number {
    const index = this.declare(type);
    this.define(index, body);
    return index;
  }

  /** Adds a function that has been finished before; its calls are filled in already. @returns the function's index. */
  finished(type: FunctionType, body: FinishedFunction): number {
    const index = this.declare(type);
    this.#functions[index - this.#functionImports]!.body = body;
    return index;
  }

  /** Names a function for profilers and stack traces. */
  name(index: number, name: string): void {
    this.#names.push({ name, index });
  }

  export(name: string, index: number): void {
    this.#exports.push({ name, index });
  }

  /** Puts functions into the imported table from `offset` on, when the module is instantiated. */
  elements(offset: number, functions: readonly number[]): void {
    this.#elements.push({ offset, functions });
  }

  finish(): Uint8Array<ArrayBuffer> {
    const module = new ByteWriter();
    for (const byte of [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0]) module.u8(byte);
    const section = (id: number, write: (to: ByteWriter) => void) => {
      const content = new ByteWriter();
      write(content);
      module.u8(id);
      module.unsigned(content.length);
      module.append(content.view());
    };
    section(Section.type, (to) => {
      to.unsigned(this.#typeList.length);
      for (const { parameters, results } of this.#typeList) {
        to.u8(0x60);
        for (const list of [parameters, results]) {
          to.unsigned(list.length);
          for (const type of list) to.u8(ValueType[type]);
        }
      }
    });
    section(Section.import, (to) => {
      to.unsigned(this.#importCount);
      to.append(this.#imports.view());
    });
    section(Section.function, (to) => {
      to.unsigned(this.#functions.length);
      for (const { type } of this.#functions) to.unsigned(type);
    });
    section(Section.export, (to) => {
      to.unsigned(this.#exports.length);
      for (const { name, index } of this.#exports) {
        to.name(name);
        to.u8(0);
        to.unsigned(index);
      }
    });
    if (this.#elements.length > 0) {
      section(Section.element, (to) => {
        to.unsigned(this.#elements.length);
        for (const { offset, functions } of this.#elements) {
          to.unsigned(0);
          to.u8(0x41);
          to.signed32(offset);
          to.u8(0x0b);
          to.unsigned(functions.length);
          for (const index of functions) to.unsigned(index);
        }
      });
    }
    this.#writeHints(section);
    section(Section.code, (to) => {
      to.unsigned(this.#functions.length);
      this.#functions.forEach(({ body }, position) => {
        if (body === undefined) throw new Error(`function ${this.#functionImports + position} has no body`);
        to.unsigned(body.bytes.length);
        to.append(body.bytes);
      });
    });
    if (this.#names.length > 0) section(Section.custom, (to) => this.#writeNames(to));
    return module.bytes();
  }

  /** Branch hinting proposal: for each function, the offsets of its hinted branches. Before the code section. */
  #writeHints(section: (id: number, write: (to: ByteWriter) => void) => void): void {
    const hinted = this.#functions.flatMap(({ body }, position) => {
      const hints = body?.hints ?? [];
      return hints.length > 0 ? [{ index: this.#functionImports + position, hints }] : [];
    });
    if (hinted.length === 0) return;
    section(Section.custom, (to) => {
      to.name("metadata.code.branch_hint");
      to.unsigned(hinted.length);
      for (const { index, hints } of hinted) {
        to.unsigned(index);
        to.unsigned(hints.length);
        for (const { at, likely } of hints) {
          to.unsigned(at);
          to.u8(1);
          to.u8(likely ? 1 : 0);
        }
      }
    });
  }

  /** WebAssembly core specification, "Name Section": function names, by rising index. */
  #writeNames(to: ByteWriter): void {
    const names = new ByteWriter();
    names.unsigned(this.#names.length);
    for (const { name, index } of this.#names.toSorted((a, b) => a.index - b.index)) {
      names.unsigned(index);
      names.name(name);
    }
    to.name("name");
    to.u8(1);
    to.unsigned(names.length);
    to.append(names.view());
  }
}
