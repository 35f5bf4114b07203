import { Builder, routine } from "../../ir/builder.ts";
import type { Value } from "../../ir/node.ts";
import { State } from "../../x86/state.ts";
import { P2mType } from "../engine.ts";
import { DomainLayout, FetchEntry, VcpuLayout } from "../layout.ts";
import { AccessFlag, PageAttribute, translate } from "./page-walk.ts";
import { Mmu } from "./state.ts";
import { noteLarge } from "./slow-access.ts";

/**
 * fetch(linear: i64): puts the page of an instruction into the fetch TLB. Code outside ordinary memory is fetched from
 * the empty frame at linear address 0, whose zero bytes decode.
 */
export const fetch = routine(
  "fetch",
  { parameters: ["i64"], results: [], faults: true },
  () => new Builder(),
  (ir, address) => {
    const [physical, attributes] = ir.call(translate, address, ir.const("i32", AccessFlag.fetch)) as [Value, Value];
    const frame = ir.variable(ir.const("i32", 0));
    const gfn = ir.shr(physical, 12);
    ir.if(ir.ltu(gfn, DomainLayout.p2mFrames), () => {
      const entry = ir.hostLoad("i32", ir.shl(ir.trunc(gfn, "i32"), 2), DomainLayout.p2m);
      const type = ir.hold(ir.and(entry, 0xfff));
      ir.if(ir.or(ir.eq(type, P2mType.ram), ir.eq(type, P2mType.ramReadOnly)), () =>
        ir.assign(frame, ir.and(entry, -4096)),
      );
    });
    const index = ir.and(ir.trunc(ir.shr(address, 12), "i32"), VcpuLayout.fetchEntries - 1);
    const entry = ir.hold(ir.add(ir.add(ir.vcpu(), VcpuLayout.fetchTlb), ir.mul(index, FetchEntry.bytes)));
    const mode = ir.zext(ir.get("i32", State.mode), "i64");
    ir.hostStore(entry, ir.or(ir.and(address, -4096n), mode), FetchEntry.tag);
    ir.hostStore(entry, ir.read(frame), FetchEntry.frame);
    ir.if(ir.ne(ir.and(attributes, PageAttribute.large), 0), () => noteLarge(ir, address));
    ir.if(ir.and(ir.lts(address, 0), ir.eqz(ir.and(attributes, PageAttribute.global))), () =>
      ir.set(Mmu.localJumps, ir.const("i32", 1)),
    );
    ir.return();
  },
);

/** fetchFrame(linear: i64) → byte address of the frame that instructions at a linear address are fetched from. */
export const fetchFrame = routine(
  "fetchFrame",
  { parameters: ["i64"], results: ["i32"], faults: true },
  () => new Builder(),
  (ir, address) => {
    // Outside 64-bit mode linear addresses have 32 bits.
    const long = ir.ne(ir.and(ir.get("i32", State.mode), 2), 0);
    const linear = ir.hold(ir.select(long, address, ir.and(address, 0xffffffff)));
    const index = ir.and(ir.trunc(ir.shr(linear, 12), "i32"), VcpuLayout.fetchEntries - 1);
    const entry = ir.hold(ir.add(ir.add(ir.vcpu(), VcpuLayout.fetchTlb), ir.mul(index, FetchEntry.bytes)));
    const tag = ir.or(ir.and(linear, -4096n), ir.zext(ir.get("i32", State.mode), "i64"));
    ir.if(ir.ne(ir.hostLoad("i64", entry, FetchEntry.tag), tag), () => ir.call(fetch, linear));
    ir.return(ir.hostLoad("i32", entry, FetchEntry.frame));
  },
);
