import type { Block, Value } from "../../ir/node.ts";
import { visitOperands, visitStatement } from "../../ir/visit.ts";
import { State } from "../../x86/state.ts";
import { fieldLoads } from "../record.ts";
import type { NumberName, SlotName } from "../../x86/semantics.ts";
import { intersects, noRegisters, singleRegister, union } from "./register-set.ts";
import type { RegisterSet } from "./register-set.ts";
import { registerOf, registerType, symbolicSlot } from "./registers.ts";
import type { SymbolicSlot } from "./registers.ts";
import type { Template } from "./template.ts";

/** The registers that an instruction has to do with. */
export interface Usage {
  /** Those whose value matters before it: read, or written in part, or not on every path. */
  readonly reads: RegisterSet;
  readonly writes: RegisterSet;
  /** Those of which nothing is left that was there before. */
  readonly replaces: RegisterSet;
}

interface SlotUse {
  readonly slot: SymbolicSlot;
  readonly kind: "read" | "write";
  /** A write of as much as the register has, on every path. */
  readonly whole: "i64" | "v128" | undefined;
}
const usesOf = new WeakMap<Block, readonly SlotUse[]>();

function slotUses(body: Block): readonly SlotUse[] {
  const known = usesOf.get(body);
  if (known !== undefined) return known;
  const uses: SlotUse[] = [];
  // A slot that is computed is none of the registers' (template.ts `opaque`).
  const add = (slot: SymbolicSlot | undefined, kind: "read" | "write", whole?: "i64" | "v128"): void => {
    if (slot !== undefined) uses.push({ slot, kind, whole });
  };
  const visit = (value: Value): void => {
    if (value.kind === "get") add(symbolicSlot(value.slot), "read");
    visitOperands(value, visit);
  };
  const walk = (block: Block, always: boolean): void => {
    for (const statement of block) {
      if (statement.kind === "define") visit(statement.value);
      if (statement.kind === "set") {
        const { type } = statement.value;
        add(symbolicSlot(statement.slot), "write", always && (type === "i64" || type === "v128") ? type : undefined);
      }
      if (statement.kind === "flags") {
        // They keep CF, or all but CF and OF: read before they are written.
        const rotates = statement.form === "rol" || statement.form === "ror";
        if (rotates || statement.form === "inc" || statement.form === "dec")
          add({ field: undefined, offset: State.ccAux }, "read");
        if (rotates) add({ field: undefined, offset: State.ccResult }, "read");
        for (const offset of [State.ccAux, State.ccResult])
          add({ field: undefined, offset }, "write", always ? "i64" : undefined);
        continue;
      }
      visitStatement(
        statement,
        () => {},
        (inner) => walk(inner, false),
      );
    }
  };
  walk(body, true);
  usesOf.set(body, uses);
  return uses;
}

const nothing: Usage = { reads: noRegisters, writes: noRegisters, replaces: noRegisters };

/**
 * What an instruction does with the registers that a region keeps in locals. One that is called has them in memory, and those
 * that it writes are loaded behind it.
 * @param record The address of its record in `view`.
 */
export function usageOf({ inline, opaque, body }: Template, view: DataView, record: number): Usage {
  if (!inline && opaque) return nothing;
  let [reads, writes, replaces] = [noRegisters, noRegisters, noRegisters];
  for (const { slot, kind, whole } of slotUses(body)) {
    let { offset } = slot;
    if (slot.field !== undefined) {
      const [load, at] = fieldLoads[slot.field as NumberName | SlotName];
      const from = record + at;
      offset += load === "i32.load8_u" ? view.getUint8(from) : view.getUint16(from, true);
    }
    const register = registerOf(offset);
    if (register === undefined) continue;
    const single = singleRegister(register.base);
    if (kind === "read") {
      if (!intersects(replaces, single)) reads = union(reads, single);
      continue;
    }
    writes = union(writes, single);
    if (register.byte === 0 && whole === registerType(register.base)) replaces = union(replaces, single);
    else reads = union(reads, single);
  }
  return { reads, writes, replaces: inline ? replaces : writes };
}
