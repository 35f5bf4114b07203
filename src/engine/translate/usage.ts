import type { Block, Slot, Value } from "../../ir/node.ts";
import { visitOperands, visitStatement } from "../../ir/visit.ts";
import { State } from "../../x86/state.ts";
import { fieldLoads } from "../record.ts";
import type { NumberName, SlotName } from "../../x86/semantics.ts";
import { registerOf, symbolicSlot } from "./registers.ts";
import type { SymbolicSlot } from "./registers.ts";
import type { Region, RegionInstruction } from "./region.ts";
import type { Template } from "./template.ts";

interface FormUsage {
  readonly reads: readonly SymbolicSlot[];
  readonly writes: readonly SymbolicSlot[];
}
const usages = new WeakMap<Block, FormUsage>();

function symbolic(slot: Slot): SymbolicSlot {
  const known = symbolicSlot(slot);
  if (known === undefined) throw new Error("an inline form's slots are known");
  return known;
}

function usageOf(body: Block): FormUsage {
  const known = usages.get(body);
  if (known !== undefined) return known;
  const reads: SymbolicSlot[] = [];
  const writes: SymbolicSlot[] = [];
  const visit = (value: Value): void => {
    if (value.kind === "get") reads.push(symbolic(value.slot));
    visitOperands(value, visit);
  };
  const walk = (block: Block): void => {
    for (const statement of block) {
      if (statement.kind === "define") visit(statement.value);
      if (statement.kind === "set") writes.push(symbolic(statement.slot));
      if (statement.kind === "flags") {
        writes.push({ field: undefined, offset: State.ccAux }, { field: undefined, offset: State.ccResult });
      }
      visitStatement(statement, () => {}, walk);
    }
  };
  walk(body);
  const usage = { reads, writes };
  usages.set(body, usage);
  return usage;
}

/** The registers that a region's instructions read or write, by slot, and those that they write. */
export function registersOf(
  region: Region,
  context: { template(instruction: RegionInstruction): Template; readonly view: DataView },
): { used: Set<number>; written: Set<number> } {
  const used = new Set<number>();
  const written = new Set<number>();
  for (const { instructions } of region.blocks.values()) {
    for (const instruction of instructions) {
      const { inline, body } = context.template(instruction);
      if (!inline) continue;
      const resolve = ({ field, offset }: SymbolicSlot): number | undefined => {
        if (field === undefined) return registerOf(offset)?.base;
        const [load, at] = fieldLoads[field as NumberName | SlotName];
        const from = instruction.record + at;
        const number = load === "i32.load8_u" ? context.view.getUint8(from) : context.view.getUint16(from, true);
        return registerOf(number + offset)?.base;
      };
      const { reads, writes } = usageOf(body);
      for (const slot of reads) {
        const base = resolve(slot);
        if (base !== undefined) used.add(base);
      }
      for (const slot of writes) {
        const base = resolve(slot);
        if (base === undefined) continue;
        used.add(base);
        written.add(base);
      }
    }
  }
  return { used, written };
}
