import type { Code } from "../../wasm/code.ts";
import { State } from "../../x86/state.ts";
import { Local, parameter } from "./locals.ts";

/** Brings the locals that say which translations are used up to date. */
export function reloadTlb(code: Code): void {
  code.get(parameter.vcpu);
  code.memory("i32.load", State.tlbBank);
  code.set(Local.tlbBank);
  code.get(parameter.vcpu);
  code.memory("i32.load", State.tlbMask);
  code.set(Local.tlbMask);
}
