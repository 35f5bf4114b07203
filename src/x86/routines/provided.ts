import { Builder, routine } from "../../ir/builder.ts";
import type { Block, Routine } from "../../ir/node.ts";
import type { Type } from "../../ir/types.ts";

/** A routine without a body, until one is installed. */
export interface Deferred extends Routine {
  /** Gives the routine its body. Called once, by the engine. */
  install(body: Routine): void;
}

/** A routine that the architecture calls and an engine provides: how translations are cached is the engine's affair. */
export function provided(
  name: string,
  parameters: readonly Type[],
  results: readonly Type[] = [],
  faults = false,
): Deferred {
  let installed: Routine | undefined;
  const declared = routine(
    name,
    { parameters, results, faults },
    () => new Builder(),
    () => {},
  );
  return {
    ...declared,
    body(): Block {
      if (installed === undefined) throw new Error(`${name} has not been installed`);
      return installed.body();
    },
    install(body) {
      installed = body;
    },
  };
}
