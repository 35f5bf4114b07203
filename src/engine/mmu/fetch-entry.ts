import type { Code } from "../../wasm/code.ts";
import { FetchEntry, VcpuLayout } from "../layout.ts";

/** Turns the linear address on the stack into the address of its entry in the fetch TLB, short of VcpuLayout.fetchTlb. */
export function emitFetchEntry(code: Code, vcpu: number): void {
  code.i64(12n);
  code.op("i64.shr_u");
  code.op("i32.wrap_i64");
  code.i32(VcpuLayout.fetchEntries - 1);
  code.op("i32.and");
  code.i32(Math.log2(FetchEntry.bytes));
  code.op("i32.shl");
  code.get(vcpu);
  code.op("i32.add");
}
