/** Translation on the thread that asks for it. */

import { theOpcodeMap } from "../opcodes.ts";
import { RegionCompiler } from "./compiler.ts";
import type { TranslationResult } from "./job.ts";
import type { TranslationService } from "./translator.ts";

/** Translates where it is asked to. */
export function localTranslation(): TranslationService {
  const compiler = new RegionCompiler(theOpcodeMap().rows);
  const results: TranslationResult[] = [];
  return {
    submit: (job) => void results.push(compiler.compile(job)),
    poll: () => results.shift(),
  };
}
