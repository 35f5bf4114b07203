import { Builder, routine } from "../../ir/builder.ts";
import type { Loop, Value } from "../../ir/node.ts";
import { PageFault, Vector } from "../../x86/exceptions.ts";
import { Flag } from "../../x86/flags.ts";
import { Cr0, Cr4, Efer, Pte, frameMask, reservedAddress } from "../../x86/paging.ts";
import { State } from "../../x86/state.ts";
import { P2mType } from "../engine.ts";
import { DomainLayout } from "../layout.ts";

/** What an access is, as the slow paths pass it on. */
export const AccessFlag = {
  write: 1,
  /** Supervisor, whatever CPL is. */
  system: 2,
  /** Through SS. */
  stack: 4,
  fetch: 8,
} as const;

/** What {@link translate} says of a page beside its address. */
export const PageAttribute = {
  /** May be written now, without a further walk: writable under CR0.WP, and dirty. */
  writable: 1,
  global: 2,
  /** Part of a 2 MiB, 4 MiB or 1 GiB page. */
  large: 4,
} as const;

/** The byte address in linear memory of guest-physical `physical`, or 0 where there is no ordinary memory. */
export function hostOf(ir: Builder, physical: Value): Value {
  const host = ir.variable(ir.const("i32", 0));
  const gfn = ir.shr(physical, 12);
  ir.if(ir.ltu(gfn, DomainLayout.p2mFrames), () => {
    const entry = ir.hostLoad("i32", ir.shl(ir.trunc(gfn, "i32"), 2), DomainLayout.p2m);
    ir.if(ir.eq(ir.and(entry, 0xfff), P2mType.ram), () => {
      ir.assign(host, ir.or(ir.and(entry, -4096), ir.and(ir.trunc(physical, "i32"), 0xfff)));
    });
  });
  return ir.read(host);
}

interface Walk {
  readonly ir: Builder;
  readonly address: Value;
  readonly flags: Value;
  readonly user: Value;
}

/** Raises the page fault that `extra` and the access make up. */
function pageFault({ ir, address, flags, user }: Walk, extra: Value): void {
  const write = ir.shl(ir.and(flags, AccessFlag.write), 1);
  const nx = ir.ne(ir.and(ir.get("i64", State.efer), Efer.nxe), 0);
  const smep = ir.ne(ir.and(ir.get("i64", State.cr4), Cr4.smep), 0);
  const fetch = ir.and(ir.ne(ir.and(flags, AccessFlag.fetch), 0), ir.or(nx, smep));
  const code = ir.or(ir.or(write, ir.shl(ir.zext(user, "i32"), 2)), ir.or(ir.shl(ir.zext(fetch, "i32"), 4), extra));
  ir.set(State.cr2, address);
  ir.fault(Vector.PF, code);
}

/** Checks the rights that the walk accumulated (R/W and U/S anded, XD ored). Intel SDM Vol. 3A, "Access Rights". */
function checkRights(walk: Walk, rights: Value, noExecute: Value): void {
  const { ir, flags, user } = walk;
  const has = (value: Value, bit: number | bigint) => ir.ne(ir.and(value, bit), 0);
  const writable = ir.hold(has(rights, Pte.writable));
  const userPage = ir.hold(has(rights, Pte.user));
  const [cr0, cr4] = [ir.get("i64", State.cr0), ir.get("i64", State.cr4)];
  const deny = (condition: Value) => ir.if(condition, () => pageFault(walk, ir.const("i32", PageFault.present)));
  deny(ir.and(user, ir.eqz(userPage)));
  ir.if(
    has(flags, AccessFlag.fetch),
    () => deny(ir.or(noExecute, ir.and(ir.and(ir.eqz(user), userPage), has(cr4, Cr4.smep)))),
    () => {
      const write = has(flags, AccessFlag.write);
      deny(ir.and(ir.and(write, ir.eqz(writable)), ir.or(user, has(cr0, Cr0.wp))));
      // SMAP: an explicit supervisor access needs AC; one that the processor makes itself is never allowed.
      const allowed = ir.and(has(ir.get("i32", State.flags), 1 << Flag.ac), ir.eqz(has(flags, AccessFlag.system)));
      deny(ir.and(ir.and(ir.eqz(user), userPage), ir.and(has(cr4, Cr4.smap), ir.eqz(allowed))));
    },
  );
}

/**
 * Sets bits in the entry at `host` with a compare-and-exchange; if another vCPU changed it, the walk starts again.
 */
function mark(ir: Builder, again: Loop, host: Value, entry: Value, bits: Value): void {
  ir.if(ir.ne(ir.and(entry, bits), bits), () => {
    const found = ir.hostExchange(host, entry, ir.or(entry, bits));
    ir.if(ir.ne(found, entry), () => ir.continue(again));
  });
}

function attributes(ir: Builder, walk: Walk, rights: Value, entry: Value, large: Value): Value {
  const bit = (condition: Value, value: number) => ir.select(condition, ir.const("i32", value), ir.const("i32", 0));
  const wp = ir.ne(ir.and(ir.get("i64", State.cr0), Cr0.wp), 0);
  const mayWrite = ir.or(ir.ne(ir.and(rights, Pte.writable), 0), ir.and(ir.eqz(walk.user), ir.eqz(wp)));
  const dirty = ir.or(ir.ne(ir.and(entry, Pte.dirty), 0), ir.ne(ir.and(walk.flags, AccessFlag.write), 0));
  const global = ir.and(ir.ne(ir.and(entry, Pte.global), 0), ir.ne(ir.and(ir.get("i64", State.cr4), Cr4.pge), 0));
  return ir.or(
    ir.or(bit(ir.and(mayWrite, dirty), PageAttribute.writable), bit(global, PageAttribute.global)),
    bit(large, PageAttribute.large),
  );
}

/** PAE and 4-level paging: entries of 8 bytes. */
function walkWide(walk: Walk, again: Loop, long: Value): void {
  const { ir, address, flags } = walk;
  const cr3 = ir.get("i64", State.cr3);
  const level = ir.variable(ir.select(long, ir.const("i32", 4), ir.const("i32", 3)));
  const table = ir.variable(ir.select(long, ir.and(cr3, frameMask), ir.and(cr3, 0xffffffe0)));
  const rights = ir.variable(ir.const("i64", Pte.writable | Pte.user));
  const forbidden = ir.variable(ir.const("i64", 0));
  const nxe = ir.ne(ir.and(ir.get("i64", State.efer), Efer.nxe), 0);
  const alwaysReserved = ir.hold(
    ir.select(nxe, ir.const("i64", reservedAddress), ir.const("i64", reservedAddress | Pte.noExecute)),
  );
  ir.loop((down) => {
    const now = ir.read(level);
    const shift = ir.hold(ir.zext(ir.add(ir.mul(now, 9), 3), "i64"));
    const index = ir.and(ir.shr(address, shift), 0x1ff);
    const host = hostOf(ir, ir.add(ir.read(table), ir.shl(index, 3)));
    ir.if(ir.eqz(host), () => pageFault(walk, ir.const("i32", 0)));
    const entry = ir.hostLoad("i64", host);
    ir.if(ir.eqz(ir.and(entry, Pte.present)), () => pageFault(walk, ir.const("i32", 0)));
    const pdpte = ir.hold(ir.and(ir.eqz(long), ir.eq(now, 3)));
    const sized = ir.ne(ir.and(entry, Pte.large), 0);
    const leaf = ir.hold(ir.or(ir.eq(now, 1), ir.and(sized, ir.and(ir.ltu(now, 4), ir.eqz(pdpte)))));
    // A large page's address is aligned to its size, bit 12 being PAT; a PDPTE of PAE paging has no rights; PS is reserved at the top.
    const span = ir.sub(ir.shl(ir.const("i64", 1), shift), 1);
    const misaligned = ir.select(ir.and(leaf, ir.ltu(1, now)), ir.and(span, ~0x1fffn), ir.const("i64", 0));
    const ofPdpte = ir.select(pdpte, ir.const("i64", 0x8000_0000_0000_01e6n), ir.const("i64", 0));
    const ofTop = ir.select(ir.eq(now, 4), ir.const("i64", Pte.large), ir.const("i64", 0));
    const reserved = ir.or(ir.or(alwaysReserved, misaligned), ir.or(ofPdpte, ofTop));
    ir.if(ir.ne(ir.and(entry, reserved), 0), () =>
      pageFault(walk, ir.const("i32", PageFault.present | PageFault.reserved)),
    );
    ir.if(ir.eqz(pdpte), () => {
      ir.assign(rights, ir.and(ir.read(rights), entry));
      ir.assign(forbidden, ir.or(ir.read(forbidden), entry));
    });
    ir.if(
      leaf,
      () => {
        const gathered = ir.read(rights);
        checkRights(walk, gathered, ir.lts(ir.read(forbidden), 0));
        const dirty = ir.ne(ir.and(flags, AccessFlag.write), 0);
        mark(
          ir,
          again,
          host,
          entry,
          ir.select(dirty, ir.const("i64", Pte.accessed | Pte.dirty), ir.const("i64", Pte.accessed)),
        );
        const base = ir.and(entry, ir.and(ir.xor(span, -1n), frameMask));
        ir.return(ir.or(base, ir.and(address, span)), attributes(ir, walk, gathered, entry, ir.ltu(1, now)));
      },
      () => ir.if(ir.eqz(pdpte), () => mark(ir, again, host, entry, ir.const("i64", Pte.accessed))),
    );
    ir.assign(table, ir.and(entry, frameMask));
    ir.assign(level, ir.sub(now, 1));
    ir.continue(down);
  });
}

/** 32-bit paging: two levels of 4-byte entries, 4 MiB pages under CR4.PSE with PSE-36 addresses. */
function walkNarrow(walk: Walk, again: Loop): void {
  const { ir, address, flags } = walk;
  const word = (value: Value) => ir.zext(value, "i64");
  const entryAt = (table: Value, shift: number): [host: Value, entry: Value] => {
    const index = ir.and(ir.shr(address, shift), 0x3ff);
    const host = hostOf(ir, ir.add(table, ir.shl(index, 2)));
    ir.if(ir.eqz(host), () => pageFault(walk, ir.const("i32", 0)));
    const entry = ir.hostLoad("i32", host);
    ir.if(ir.eqz(ir.and(entry, 1)), () => pageFault(walk, ir.const("i32", 0)));
    return [host, entry];
  };
  const accessed = ir.const("i32", Pte.accessed);
  const leafMark = () =>
    ir.select(ir.ne(ir.and(flags, AccessFlag.write), 0), ir.const("i32", Pte.accessed | Pte.dirty), accessed);
  const executable = ir.const("i1", 0);
  const [directoryHost, directory] = entryAt(ir.and(ir.get("i64", State.cr3), 0xfffff000), 22);
  const pse = ir.ne(ir.and(ir.get("i64", State.cr4), Cr4.pse), 0);
  ir.if(ir.and(ir.ne(ir.and(directory, Number(Pte.large)), 0), pse), () => {
    ir.if(ir.ne(ir.and(directory, 0x3fe000 & ~(((1 << (40 - 32)) - 1) << 13)), 0), () =>
      pageFault(walk, ir.const("i32", PageFault.present | PageFault.reserved)),
    );
    checkRights(walk, word(directory), executable);
    mark(ir, again, directoryHost, directory, leafMark());
    const high = ir.shl(ir.and(ir.shr(word(directory), 13), 0xff), 32);
    const base = ir.or(ir.and(word(directory), 0xffc00000), high);
    ir.return(
      ir.or(base, ir.and(address, 0x3fffff)),
      attributes(ir, walk, word(directory), word(directory), ir.const("i1", 1)),
    );
  });
  mark(ir, again, directoryHost, directory, accessed);
  const [host, entry] = entryAt(ir.and(word(directory), 0xfffff000), 12);
  const rights = ir.hold(word(ir.and(directory, entry)));
  checkRights(walk, rights, executable);
  mark(ir, again, host, entry, leafMark());
  ir.return(
    ir.or(ir.and(word(entry), 0xfffff000), ir.and(address, 0xfff)),
    attributes(ir, walk, rights, word(entry), ir.const("i1", 0)),
  );
}

/**
 * translate(linear: i64, flags: i32) → (physical: i64, attributes: i32), by the page tables that are in force: A and D
 * bits set, rights and reserved bits checked. #PF with CR2 and error code, or #GP(0)/#SS(0) for a non-canonical address.
 */
export const translate = routine(
  "translate",
  { parameters: ["i64", "i32"], results: ["i64", "i32"], faults: true },
  () => new Builder(),
  (ir, address, flags) => {
    const user = ir.hold(ir.and(ir.eq(ir.get("i32", State.cpl), 3), ir.eqz(ir.and(flags, AccessFlag.system))));
    const walk: Walk = { ir, address: address, flags: flags, user };
    const long = ir.hold(ir.ne(ir.and(ir.get("i64", State.efer), Efer.lma), 0));
    ir.if(ir.and(long, ir.ne(ir.sar(ir.shl(address, 16), 16), address)), () => {
      ir.if(
        ir.ne(ir.and(flags, AccessFlag.stack), 0),
        () => ir.fault(Vector.SS, 0),
        () => ir.fault(Vector.GP, 0),
      );
    });
    ir.if(ir.eqz(ir.and(ir.get("i64", State.cr0), Cr0.pg)), () => {
      ir.return(ir.and(address, 0xffffffff), ir.const("i32", PageAttribute.writable));
    });
    const wide = ir.or(long, ir.ne(ir.and(ir.get("i64", State.cr4), Cr4.pae), 0));
    ir.loop((again) => {
      ir.if(
        wide,
        () => walkWide(walk, again, long),
        () => walkNarrow(walk, again),
      );
    });
  },
);
