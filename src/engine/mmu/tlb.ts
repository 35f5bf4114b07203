import { Builder, routine } from "../../ir/builder.ts";
import type { Value } from "../../ir/node.ts";
import { Flag } from "../../x86/flags.ts";
import { Cr0, Cr4, Efer } from "../../x86/paging.ts";
import { State, segmentSlot } from "../../x86/state.ts";
import { FetchEntry, JumpEntry, TlbEntry, VcpuLayout, jumpShift } from "../layout.ts";
import { Mmu } from "./state.ts";

const builder = () => new Builder();
const bankBytes = VcpuLayout.userEntries * TlbEntry.bytes;

function forget(ir: Builder, offset: number, bytes: number): void {
  ir.hostFill(ir.add(ir.vcpu(), offset), 0xff, ir.const("i32", bytes));
}

/** A user bank and its jump cache are of the same size, so that one is found from the other. */
const jumpBytes = VcpuLayout.userJumpEntries * JumpEntry.bytes;
if (jumpBytes !== bankBytes) throw new Error("a user bank and its jump cache differ in size");
const kernelJumpBytes = VcpuLayout.kernelJumpEntries * JumpEntry.bytes;

/** Empties every jump cache. */
function forgetJumps(ir: Builder): void {
  forget(ir, VcpuLayout.kernelJumps, kernelJumpBytes);
  forget(ir, VcpuLayout.userJumps, VcpuLayout.userBankCount * jumpBytes);
  ir.hostFill(ir.add(ir.vcpu(), VcpuLayout.jumpPages), 0, ir.const("i32", VcpuLayout.jumpPageBytes));
  ir.set(Mmu.localJumps, ir.const("i32", 0));
  endGeneration(ir, State.kernelCode);
  endGeneration(ir, State.userCode);
}

/** What was found out about translations for instruction fetch holds no longer. 0 is no generation. */
function endGeneration(ir: Builder, slot: number): void {
  const next = ir.hold(ir.add(ir.get("i32", slot), 1));
  ir.set(slot, ir.select(ir.eqz(next), ir.const("i32", 1), next));
}

/** Where {@link VcpuLayout.jumpPages} has the bit of an address: byte, and the bit in it. */
function jumpPage(ir: Builder, address: Value): readonly [byte: Value, bit: Value] {
  const page = ir.hold(ir.trunc(ir.shr(address, 12), "i32"));
  const byte = ir.and(ir.shr(page, 3), VcpuLayout.jumpPageBytes - 1);
  return [byte, ir.shl(ir.const("i32", 1), ir.and(page, 7))];
}

/** noteJump(rip: i64, slot: i32, entry: i32): makes the jump cache in use lead from rip to a region. */
export const noteJump = routine(
  "noteJump",
  { parameters: ["i64", "i32", "i32"], results: [], faults: false },
  builder,
  (ir, rip, slot, entry) => {
    const user = ir.eq(ir.get("i32", State.cpl), 3);
    // Code in the user's half of the address space that runs in ring 0 depends on CR3 as neither cache does.
    ir.if(ir.eq(ir.zext(user, "i32"), ir.zext(ir.lts(rip, 0), "i32")), () => ir.return());
    const mask = ir.select(
      user,
      ir.const("i32", VcpuLayout.userJumpEntries - 1),
      ir.const("i32", VcpuLayout.kernelJumpEntries - 1),
    );
    const low = ir.hold(ir.trunc(rip, "i32"));
    const index = ir.and(ir.xor(low, ir.shr(low, jumpShift)), mask);
    const at = ir.hold(ir.add(ir.get("i32", State.jumpCache), ir.shl(index, JumpEntry.shift)));
    ir.hostStore(at, rip, JumpEntry.rip);
    ir.hostStore(at, slot, JumpEntry.slot);
    ir.hostStore(at, entry, JumpEntry.entry);
    markPage(ir, rip);
    ir.return();
  },
);

/** Sets an address's bit in {@link VcpuLayout.jumpPages}. */
function markPage(ir: Builder, address: Value): void {
  const [byte, bit] = jumpPage(ir, address);
  const held = ir.hold(ir.add(ir.vcpu(), byte));
  const before = ir.hostLoad("i8", held, VcpuLayout.jumpPages);
  ir.hostStore(held, ir.or(before, ir.trunc(bit, "i8")), VcpuLayout.jumpPages);
}

/** notePage(linear: i64): regions rely on where the page leads. When that ends, so do the generations of code. */
export const notePage = routine(
  "notePage",
  { parameters: ["i64"], results: [], faults: false },
  builder,
  (ir, address) => {
    markPage(ir, address);
    ir.return();
  },
);

/** Forgets the translations, and the jumps, that a user bank holds. */
function forgetBank(ir: Builder, bank: Value): void {
  const address = (base: number, bytes: number) => ir.add(ir.vcpu(), ir.add(ir.mul(bank, bytes), base));
  ir.hostFill(address(VcpuLayout.userBanks, bankBytes), 0xff, ir.const("i32", bankBytes));
  ir.hostFill(address(VcpuLayout.userJumps, jumpBytes), 0xff, ir.const("i32", jumpBytes));
}

/** forgetJumps(): empties every jump cache, because what slots of the function table hold has changed. */
export const dropJumps = routine("dropJumps", { parameters: [], results: [], faults: false }, builder, (ir) => {
  forgetJumps(ir);
  ir.return();
});

/** Sets every byte of every bank, so that no tag matches. */
export const flushAll = routine("flushAll", { parameters: [], results: [], faults: false }, builder, (ir) => {
  forget(ir, VcpuLayout.kernelBank, VcpuLayout.kernelEntries * TlbEntry.bytes);
  forget(ir, VcpuLayout.kernelUserBank, VcpuLayout.kernelUserEntries * TlbEntry.bytes);
  forget(ir, VcpuLayout.userBanks, VcpuLayout.userBankCount * bankBytes);
  forget(ir, VcpuLayout.fetchTlb, VcpuLayout.fetchEntries * FetchEntry.bytes);
  forget(ir, Mmu.userKeys, 32);
  forgetJumps(ir);
  ir.hostFill(ir.add(ir.vcpu(), Mmu.large), 0, ir.const("i32", Mmu.largeBytes));
  ir.set(Mmu.logCount, ir.const("i32", 0));
  // The bank in use belongs to CR3, flushed or not.
  const bank = ir.get("i32", Mmu.userBank);
  const number = ir.op("divu", [ir.sub(bank, VcpuLayout.userBanks), ir.const("i32", bankBytes)]);
  ir.set(ir.add(ir.const("i32", Mmu.userKeys), ir.shl(number, 3)), ir.get("i64", State.cr3));
  ir.return();
});

/** Drops what K and KU hold of the address space that is left: engine.md §C. */
function flushKernelNonGlobal(ir: Builder): void {
  forget(ir, VcpuLayout.kernelUserBank, VcpuLayout.kernelUserEntries * TlbEntry.bytes);
  const count = ir.get("i32", Mmu.logCount);
  ir.if(
    ir.ltu(Mmu.logEntries, count),
    () => forget(ir, VcpuLayout.kernelBank, VcpuLayout.kernelEntries * TlbEntry.bytes),
    () => {
      const index = ir.variable(ir.const("i32", 0));
      ir.loop((loop) => {
        const now = ir.read(index);
        ir.if(ir.leu(count, now), () => ir.break(loop));
        const entry = ir.get("i32", ir.add(ir.const("i32", Mmu.log), ir.shl(now, 2)));
        ir.hostStore(entry, ir.const("i64", -1), TlbEntry.readTag);
        ir.hostStore(entry, ir.const("i64", -1), TlbEntry.writeTag);
        ir.assign(index, ir.add(now, 1));
      });
    },
  );
  ir.set(Mmu.logCount, ir.const("i32", 0));
}

/**
 * loadCr3(value: i64): MOV to CR3, the value found valid. Bit 63 (with CR4.PCIDE) keeps translations. Each user bank holds
 * one address space; a bank whose PCID is loaded again for another table, or without bit 63, is dropped.
 */
export const loadCr3 = routine("loadCr3", { parameters: ["i64"], results: [], faults: false }, builder, (ir, value) => {
  const key = ir.hold(ir.and(value, (1n << 63n) - 1n));
  const keep = ir.hold(ir.lts(value, 0));
  ir.set(State.cr3, key);
  flushKernelNonGlobal(ir);
  ir.if(ir.ne(ir.get("i32", Mmu.localJumps), 0), () => forgetJumps(ir));
  forget(ir, VcpuLayout.fetchTlb, VcpuLayout.fetchEntries * FetchEntry.bytes);
  endGeneration(ir, State.userCode);
  const clock = ir.hold(ir.add(ir.get("i32", Mmu.clock), 1));
  ir.set(Mmu.clock, clock);
  const chosen = ir.variable(ir.const("i32", -1));
  const oldest = ir.variable(ir.const("i32", 0));
  for (let bank = 0; bank < VcpuLayout.userBankCount; bank++) {
    const held = ir.get("i64", Mmu.userKeys + bank * 8);
    const samePcid = ir.eqz(ir.and(ir.xor(held, key), 0xfff));
    const same = ir.hold(ir.eq(held, key));
    ir.if(ir.and(samePcid, ir.or(ir.eqz(keep), ir.eqz(same))), () => {
      forgetBank(ir, ir.const("i32", bank));
      ir.if(ir.eqz(same), () => ir.set(Mmu.userKeys + bank * 8, ir.const("i64", -1)));
    });
    ir.if(same, () => ir.assign(chosen, bank));
    const stamp = ir.get("i32", Mmu.userStamps + bank * 4);
    const older = ir.get("i32", ir.add(ir.const("i32", Mmu.userStamps), ir.shl(ir.read(oldest), 2)));
    ir.if(ir.ltu(stamp, older), () => ir.assign(oldest, bank));
  }
  ir.if(ir.eq(ir.read(chosen), -1), () => {
    const victim = ir.read(oldest);
    ir.assign(chosen, victim);
    ir.set(ir.add(ir.const("i32", Mmu.userKeys), ir.shl(victim, 3)), key);
    forgetBank(ir, victim);
  });
  const bank = ir.read(chosen);
  ir.set(ir.add(ir.const("i32", Mmu.userStamps), ir.shl(bank, 2)), clock);
  ir.set(Mmu.userBank, ir.add(ir.mul(bank, bankBytes), VcpuLayout.userBanks));
  ir.call(updateMode);
  ir.return();
});

/** invalidatePage(linear: i64): INVLPG. A page that may be part of a cached large one flushes everything. */
export const invalidatePage = routine(
  "invalidatePage",
  { parameters: ["i64"], results: [], faults: false },
  builder,
  (ir, address) => {
    const hash = ir.hold(ir.and(ir.trunc(ir.shr(address, 21), "i32"), Mmu.largeBytes * 8 - 1));
    const byte = ir.get("i8", ir.add(ir.const("i32", Mmu.large), ir.shr(hash, 3)));
    ir.if(ir.ne(ir.and(ir.shr(ir.zext(byte, "i32"), ir.and(hash, 7)), 1), 0), () => {
      ir.call(flushAll);
      ir.return();
    });
    const page = ir.hold(ir.and(address, -4096n));
    const bank = (offset: number, entries: number) => {
      const index = ir.and(ir.trunc(ir.shr(address, 12 - TlbEntry.shift), "i32"), (entries - 1) << TlbEntry.shift);
      const entry = ir.hold(ir.add(ir.add(ir.vcpu(), offset), index));
      ir.if(ir.eq(ir.hostLoad("i64", entry), page), () => {
        ir.hostStore(entry, ir.const("i64", -1), TlbEntry.readTag);
        ir.hostStore(entry, ir.const("i64", -1), TlbEntry.writeTag);
      });
    };
    bank(VcpuLayout.kernelBank, VcpuLayout.kernelEntries);
    bank(VcpuLayout.kernelUserBank, VcpuLayout.kernelUserEntries);
    for (let user = 0; user < VcpuLayout.userBankCount; user++)
      bank(VcpuLayout.userBanks + user * bankBytes, VcpuLayout.userEntries);
    const index = ir.and(ir.trunc(ir.shr(address, 12), "i32"), VcpuLayout.fetchEntries - 1);
    const [byteOffset, bit] = jumpPage(ir, address);
    const jumps = ir.zext(ir.hostLoad("i8", ir.add(ir.vcpu(), byteOffset), VcpuLayout.jumpPages), "i32");
    ir.if(ir.ne(ir.and(jumps, bit), 0), () => forgetJumps(ir));
    ir.hostStore(
      ir.add(ir.add(ir.vcpu(), VcpuLayout.fetchTlb), ir.mul(index, FetchEntry.bytes)),
      ir.const("i64", -1),
      FetchEntry.tag,
    );
    ir.return();
  },
);

/**
 * updateMode(): derives the words that follow from CPL, CS, EFLAGS.AC and the control registers: the mode that keys
 * decoded code, the TLB bank, and whether floating-point instructions have to look at CR0 and CR4.
 */
export const updateMode = routine("updateMode", { parameters: [], results: [], faults: false }, builder, (ir) => {
  const attributes = ir.zext(ir.get("i16", segmentSlot("cs") + 14), "i32");
  const has = (value: Value, bit: number) => ir.ne(ir.and(value, bit), 0);
  const long = ir.and(has(ir.get("i64", State.efer), Efer.lma), has(attributes, 0x200));
  const size = ir.select(long, ir.const("i32", 2), ir.zext(has(attributes, 0x400), "i32"));
  const cpl = ir.get("i32", State.cpl);
  const user = ir.hold(ir.eq(cpl, 3));
  ir.set(State.mode, ir.or(size, ir.shl(ir.zext(user, "i32"), 3)));
  const ac = has(ir.get("i32", State.flags), 1 << Flag.ac);
  const smap = has(ir.get("i64", State.cr4), Cr4.smap);
  const apart = ir.hold(ir.and(ac, smap));
  const kernel = ir.select(apart, ir.const("i32", VcpuLayout.kernelUserBank), ir.const("i32", VcpuLayout.kernelBank));
  const kernelEntries = ir.select(
    apart,
    ir.const("i32", VcpuLayout.kernelUserEntries - 1),
    ir.const("i32", VcpuLayout.kernelEntries - 1),
  );
  ir.set(State.tlbBank, ir.add(ir.vcpu(), ir.select(user, ir.get("i32", Mmu.userBank), kernel)));
  ir.set(
    State.tlbMask,
    ir.shl(ir.select(user, ir.const("i32", VcpuLayout.userEntries - 1), kernelEntries), TlbEntry.shift),
  );
  const userJumps = ir.add(ir.get("i32", Mmu.userBank), VcpuLayout.userJumps - VcpuLayout.userBanks);
  const jumps = ir.select(user, userJumps, ir.const("i32", VcpuLayout.kernelJumps));
  ir.set(State.jumpCache, ir.add(ir.vcpu(), jumps));
  const cr0 = ir.get("i64", State.cr0);
  // Alignment is checked where translations are made, so nothing may hit: the fast path pays nothing for it.
  const checksAlignment = ir.hold(ir.and(ir.and(user, ac), has(cr0, Cr0.am)));
  ir.set(State.alignmentCheck, ir.zext(checksAlignment, "i32"));
  ir.if(checksAlignment, () => {
    ir.set(Mmu.emptyBank + TlbEntry.readTag, ir.const("i64", -1));
    ir.set(Mmu.emptyBank + TlbEntry.writeTag, ir.const("i64", -1));
    ir.set(State.tlbBank, ir.add(ir.vcpu(), Mmu.emptyBank));
    ir.set(State.tlbMask, ir.const("i32", 0));
  });
  const noSse = ir.eqz(ir.and(ir.get("i64", State.cr4), Cr4.osfxsr));
  ir.set(State.fpuTrap, ir.zext(ir.or(has(cr0, Cr0.em | Cr0.ts), noSse), "i32"));
  ir.return();
});
