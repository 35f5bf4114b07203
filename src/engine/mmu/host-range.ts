import { Builder, routine } from "../../ir/builder.ts";
import type { Value } from "../../ir/node.ts";
import { State } from "../../x86/state.ts";
import { DomainLayout, TlbEntry } from "../layout.ts";
import { AccessFlag } from "./page-walk.ts";
import { resolve } from "./slow-access.ts";

/** The body of x86/routines/mmu.ts `hostRange`. A hit in the TLB answers at once; a page with code has no write tag there. */
export const hostRange = routine(
  "hostRange",
  { parameters: ["i64", "i32", "i32"], results: ["i32"], faults: true },
  () => new Builder(),
  (ir, address, bytes, write) => {
    const inPage = ir.and(ir.trunc(address, "i32"), 0xfff);
    ir.if(ir.ltu(4096, ir.add(inPage, bytes)), () => ir.return(ir.const("i32", 0)));
    ir.if(ir.ne(ir.get("i32", State.alignmentCheck), 0), () => ir.return(ir.const("i32", 0)));
    const page = ir.hold(ir.and(address, -4096n));
    const index = ir.and(ir.trunc(ir.shr(address, 12 - TlbEntry.shift), "i32"), ir.get("i32", State.tlbMask));
    const entry = ir.hold(ir.add(ir.get("i32", State.tlbBank), index));
    const tag = ir.hostLoad(
      "i64",
      ir.add(entry, ir.select(ir.ne(write, 0), ir.const("i32", TlbEntry.writeTag), ir.const("i32", TlbEntry.readTag))),
    );
    ir.if(ir.eq(tag, page), () => {
      const addend = ir.hostLoad("i32", entry, TlbEntry.addend);
      ir.return(ir.add(ir.trunc(address, "i32"), addend));
    });
    const flags = ir.select(ir.ne(write, 0), ir.const("i32", AccessFlag.write), ir.const("i32", 0));
    const [host] = ir.call(resolve, address, flags) as [Value, Value];
    const hasCode = () => ir.ne(ir.hostLoad("i8", ir.shr(host, 12), DomainLayout.codeFrames), 0);
    ir.if(ir.ne(write, 0), () => {
      ir.if(hasCode(), () => ir.return(ir.const("i32", 0)));
    });
    ir.return(host);
  },
);
