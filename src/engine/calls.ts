import type { Block, Routine } from "../ir/node.ts";
import { visitStatement } from "../ir/visit.ts";

/** What a body calls itself. */
export interface Calls {
  readonly routines: ReadonlySet<Routine>;
  readonly hosts: ReadonlyMap<string, number>;
}
const callsOf = new WeakMap<Block, Calls>();

/** The calls in a body, found once. */
export function directCalls(body: Block): Calls {
  const known = callsOf.get(body);
  if (known !== undefined) return known;
  const routines = new Set<Routine>();
  const hosts = new Map<string, number>();
  const walk = (block: Block) => {
    for (const statement of block) {
      if (statement.kind === "call") routines.add(statement.routine);
      if (statement.kind === "host") hosts.set(statement.name, statement.arguments.length);
      visitStatement(statement, () => {}, walk);
    }
  };
  walk(body);
  const calls = { routines, hosts };
  callsOf.set(body, calls);
  return calls;
}
