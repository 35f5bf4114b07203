import type { Block, Loop, Statement, Value } from "./node.ts";
import { visitOperands, visitStatement } from "./visit.ts";

/** Kinds of values that are computed where a statement says so, and mean nothing before it. */
const placed = new Set<Value["kind"]>(["get", "read", "load", "before", "result", "hostLoad", "hostExchange"]);

/** What a statement makes known to those behind it. */
function definitions(statement: Statement): readonly Value[] {
  switch (statement.kind) {
    case "define":
      return [statement.value];
    case "call":
      return statement.results;
    case "host":
      return [statement.result];
    case "update":
      return [statement.before];
    default:
      return [];
  }
}

/**
 * Checks what the types do not say: a value is used only where its definition has been, breaks are inside their loops,
 * and the body of an update has no effects. @returns what is wrong, a sentence each.
 */
export function verify(body: Block): string[] {
  const errors: string[] = [];
  const known = new Set<number>();

  const use = (value: Value): void => {
    if (placed.has(value.kind)) {
      if (!known.has(value.id)) errors.push(`%${value.id} (${value.kind}) is used before it is defined`);
      return;
    }
    visitOperands(value, use);
  };

  const walk = (block: Block, loops: readonly Loop[], pure: boolean): void => {
    const outer = new Set(known);
    statements(block, loops, pure);
    // What a block defined is not known behind it.
    for (const id of known) if (!outer.has(id)) known.delete(id);
  };

  const statements = (block: Block, loops: readonly Loop[], pure: boolean): void => {
    for (const statement of block) {
      if (pure && !(statement.kind === "define" && !["load", "hostExchange"].includes(statement.value.kind))) {
        errors.push(`an update's body has a ${statement.kind}`);
      }
      if ((statement.kind === "break" || statement.kind === "continue") && !loops.includes(statement.loop)) {
        errors.push(`a ${statement.kind} outside its loop`);
      }
      if (statement.kind === "define") visitOperands(statement.value, use);
      else if (statement.kind === "update") {
        use(statement.address);
        known.add(statement.before.id);
        // The body is evaluated in any case: what it defines stays known.
        statements(statement.body, loops, true);
        use(statement.after);
      } else {
        const inside = statement.kind === "loop" ? [...loops, statement.loop] : loops;
        visitStatement(statement, use, (inner) => walk(inner, inside, pure));
      }
      for (const value of definitions(statement)) known.add(value.id);
    }
  };

  statements(body, [], false);
  return errors;
}
