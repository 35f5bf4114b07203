import type { Block, Value } from "../../ir/node.ts";
import { visitOperands, visitStatement } from "../../ir/visit.ts";

/** How often each value is used, by id. A pure value that is used twice is worth a local. */
export function countUses(body: Block): Map<number, number> {
  const uses = new Map<number, number>();
  const use = (value: Value) => {
    const before = uses.get(value.id) ?? 0;
    uses.set(value.id, before + 1);
    // A value's own operands are evaluated once, however often it is used; a defined one's where it is defined.
    if (
      before === 0 &&
      value.kind !== "get" &&
      value.kind !== "load" &&
      value.kind !== "hostLoad" &&
      value.kind !== "hostExchange"
    )
      visitOperands(value, use);
  };
  const walk = (block: Block) => {
    for (const statement of block) visitStatement(statement, use, walk);
  };
  walk(body);
  return uses;
}

/** For IR of which the uses are not known: what is defined is kept. */
export const everyUse: ReadonlyMap<number, number> = new (class extends Map<number, number> {
  override get(): number {
    return 1;
  }
})();
