import { seeded } from "../mutation.ts";
import type { Mutation } from "../mutation.ts";

const paging = ["src/engine/mmu/paging.test.ts"];
const translations = ["src/engine/mmu/translations.test.ts"];
const loop = ["src/engine/code-cache.test.ts", "src/engine/engine.test.ts"];
const string = ["src/x86/instructions/string.test.ts"];
const longInterrupts = ["test/system/long-interrupts.test.ts"];

/** Bugs in the software MMU. */
export const mmu: readonly Mutation[] = [
  ...seeded("src/engine/mmu/page-walk.ts", paging, [
    ["user code reaches supervisor pages", "deny(ir.and(user, ir.eqz(userPage)));", ""],
    [
      "XD pages can be executed",
      "deny(ir.or(noExecute, ir.and(ir.and(ir.eqz(user), userPage), has(cr4, Cr4.smep)))),",
      "deny(ir.and(ir.and(ir.eqz(user), userPage), has(cr4, Cr4.smep))),",
    ],
    [
      "SMEP is ignored",
      "deny(ir.or(noExecute, ir.and(ir.and(ir.eqz(user), userPage), has(cr4, Cr4.smep)))),",
      "deny(noExecute),",
    ],
    ["CR0.WP is ignored", "ir.or(user, has(cr0, Cr0.wp))", "user"],
    ["CR0.WP binds where it is clear", "ir.or(user, has(cr0, Cr0.wp))", 'ir.const("i1", 1)'],
    ["SMAP is ignored", "ir.and(has(cr4, Cr4.smap), ir.eqz(allowed))", 'ir.const("i1", 0)'],
    [
      "EFLAGS.AC lets the processor's own accesses through SMAP",
      'ir.and(has(ir.get("i32", State.flags), 1 << Flag.ac), ir.eqz(has(flags, AccessFlag.system)))',
      'has(ir.get("i32", State.flags), 1 << Flag.ac)',
    ],
    [
      "rights are those of the last level alone",
      "ir.assign(rights, ir.and(ir.read(rights), entry));",
      "ir.assign(rights, entry);",
    ],
    [
      "XD counts at the last level alone",
      "ir.assign(forbidden, ir.or(ir.read(forbidden), entry));",
      "ir.assign(forbidden, entry);",
    ],
    [
      "the upper levels' A bits stay clear",
      '() => ir.if(ir.eqz(pdpte), () => mark(ir, again, host, entry, ir.const("i64", Pte.accessed))),',
      "() => {},",
    ],
    [
      "a write leaves the D bit",
      'ir.select(dirty, ir.const("i64", Pte.accessed | Pte.dirty), ir.const("i64", Pte.accessed)),',
      'ir.const("i64", Pte.accessed),',
    ],
    [
      "a clean page can be written without a walk",
      "ir.or(bit(ir.and(mayWrite, dirty), PageAttribute.writable)",
      "ir.or(bit(mayWrite, PageAttribute.writable)",
    ],
    [
      "address bits beyond the physical width are not reserved",
      'ir.const("i64", reservedAddress), ir.const("i64", reservedAddress | Pte.noExecute)',
      'ir.const("i64", 0), ir.const("i64", Pte.noExecute)',
    ],
    [
      "XD is not reserved without EFER.NXE",
      'ir.const("i64", reservedAddress | Pte.noExecute)),',
      'ir.const("i64", reservedAddress)),',
    ],
    [
      "a large page may be misaligned",
      'ir.select(ir.and(leaf, ir.ltu(1, now)), ir.and(span, ~0x1fffn), ir.const("i64", 0))',
      'ir.const("i64", 0)',
    ],
    [
      "PS is not reserved in a PML4 entry",
      'ir.select(ir.eq(now, 4), ir.const("i64", Pte.large), ir.const("i64", 0))',
      'ir.const("i64", 0)',
    ],
    [
      "the error code of a reserved bit lacks P",
      'ir.if(ir.ne(ir.and(entry, reserved), 0), () =>\n      pageFault(walk, ir.const("i32", PageFault.present | PageFault.reserved)),',
      'ir.if(ir.ne(ir.and(entry, reserved), 0), () =>\n      pageFault(walk, ir.const("i32", PageFault.reserved)),',
    ],
    ["the error code of a fetch lacks I/D", 'ir.shl(ir.zext(fetch, "i32"), 4)', 'ir.const("i32", 0)'],
    ["CR2 is cut to its page", "ir.set(State.cr2, address);", "ir.set(State.cr2, ir.and(address, -4096n));"],
    ["a non-canonical stack access is #GP", "() => ir.fault(Vector.SS, 0),", "() => ir.fault(Vector.GP, 0),"],
    [
      "32-bit paging takes rights from the page table alone",
      "ir.hold(word(ir.and(directory, entry)))",
      "ir.hold(word(entry))",
    ],
    [
      "4 MiB pages exist without CR4.PSE",
      "ir.if(ir.and(ir.ne(ir.and(directory, Number(Pte.large)), 0), pse), () => {",
      "ir.if(ir.ne(ir.and(directory, Number(Pte.large)), 0), () => {",
    ],
    [
      "PSE-36 address bits are forgotten",
      "ir.shl(ir.and(ir.shr(word(directory), 13), 0xff), 32)",
      'ir.const("i64", 0)',
    ],
  ]),
  ...seeded("src/engine/mmu/slow-access.ts", paging, [
    [
      "a load of bytes that end at a page's end crosses it",
      'return ir.ltu(4096, ir.add(ir.and(ir.trunc(address, "i32"), 0xfff), bytes));',
      'return ir.ltu(4097, ir.add(ir.and(ir.trunc(address, "i32"), 0xfff), bytes));',
    ],
    [
      "a store that crosses pages checks the first alone",
      "ir.call(slowProbe, address, bytes, write);",
      "ir.call(resolve, address, write);",
    ],
    [
      "a fault in the second page has the first byte's address",
      'ir.and(ir.add(address, ir.zext(ir.sub(bytes, 1), "i64")), -4096n)',
      'ir.add(address, ir.zext(ir.sub(bytes, 1), "i64"))',
    ],
    [
      "read-only memory is written",
      'fill(ir, address, flags, frame, attributes, ir.const("i1", 0));',
      'fill(ir, address, flags, frame, attributes, ir.const("i1", 1));',
    ],
    ["a misaligned access is #GP", "ir.fault(Vector.AC, 0)", "ir.fault(Vector.GP, 0)"],
  ]),
  ...seeded("src/engine/mmu/slow-access.ts", translations, [
    [
      "a page that has code can be written without notice",
      'ir.select(ir.and(writable, ir.eqz(hasCode)), tag, ir.const("i64", -1))',
      'ir.select(writable, tag, ir.const("i64", -1))',
    ],
    [
      "kernel translations that are not global are not remembered",
      "ir.if(ir.and(inKernelBank, ir.eqz(ir.and(attributes, PageAttribute.global))), () => {",
      "ir.if(ir.and(inKernelBank, ir.ne(ir.and(attributes, PageAttribute.global), 0)), () => {",
    ],
    [
      "the log of such translations has a place too many",
      "ir.if(ir.ltu(count, Mmu.logEntries), () => {",
      "ir.if(ir.leu(count, Mmu.logEntries), () => {",
    ],
    [
      "a large page is not remembered to be one",
      "ir.if(ir.ne(ir.and(attributes, PageAttribute.large), 0), () => noteLarge(ir, address));",
      "",
    ],
  ]),
  ...seeded("src/engine/mmu/tlb.ts", translations, [
    [
      "MOV to CR3 keeps kernel translations",
      "ir.set(State.cr3, key);\n  flushKernelNonGlobal(ir);",
      "ir.set(State.cr3, key);",
    ],
    [
      "MOV to CR3 keeps the translations of code",
      "forget(ir, VcpuLayout.fetchTlb, VcpuLayout.fetchEntries * FetchEntry.bytes);\n  endGeneration(ir, State.userCode);\n  const clock",
      "endGeneration(ir, State.userCode);\n  const clock",
    ],
    [
      "MOV to CR3 with a full log drops only what is in the log",
      "ir.ltu(Mmu.logEntries, count),",
      'ir.const("i1", 0),',
    ],
    ["MOV to CR3 of the same table keeps user translations", "ir.or(ir.eqz(keep), ir.eqz(same))", "ir.eqz(same)"],
    [
      "a bank that is given to another address space keeps its translations",
      'ir.hostFill(address(VcpuLayout.userBanks, bankBytes), 0xff, ir.const("i32", bankBytes));',
      "",
    ],
    [
      "INVLPG forgets one bank of user translations",
      "for (let user = 0; user < VcpuLayout.userBankCount; user++)\n      bank(",
      "for (let user = 0; user < 1; user++)\n      bank(",
    ],
    [
      "INVLPG leaves the translation of code",
      'ir.mul(index, FetchEntry.bytes)),\n      ir.const("i64", -1),',
      'ir.mul(index, FetchEntry.bytes)),\n      ir.const("i64", page),',
    ],
    ["INVLPG in a large page drops 4 KiB", "ir.call(flushAll);\n      ir.return();", ""],
    [
      "SMAP's open and closed windows share translations",
      "const apart = ir.hold(ir.and(ac, smap));",
      'const apart = ir.hold(ir.and(ir.and(ac, smap), ir.const("i1", 0)));',
    ],
  ]),
];

/** Bugs in the interpreter's loop and in the cache of decoded code. */
export const engine: readonly Mutation[] = [
  ...seeded("src/engine/code-cache.ts", loop, [
    [
      "a block that is being executed goes on after a write to it",
      "this.#view.setUint16(record + RecordField.handler, Handler.lookUp, true);\n        const at",
      "const at",
    ],
    ["a frame that gets code keeps its write translations", "this.#watcher.frameBecameCode(frame);", ""],
    [
      "what another party wrote over stays decoded",
      "this.invalidate(frame * frameBytes);",
      "this.#codeFrames[frame] = CodeFrame.none;",
    ],
    [
      "an instruction across two pages is not forgotten with its second page",
      "this.#own(Math.floor(second / frameBytes), block);",
      "",
    ],
    [
      "an instruction across two pages is cut a byte early",
      "const inFirst = frameBytes - (at % frameBytes);",
      "const inFirst = frameBytes - 1 - (at % frameBytes);",
    ],
    [
      "an undefined instruction is #GP",
      "undefined: [Handler.raise, Vector.UD, -1] as const,",
      "undefined: [Handler.raise, Vector.GP, 0] as const,",
    ],
    [
      "an instruction that is too long is #UD",
      '"too-long": [Handler.raise, Vector.GP, 0] as const,',
      '"too-long": [Handler.raise, Vector.UD, -1] as const,',
    ],
  ]),
  ...seeded("src/engine/dispatcher/records.ts", loop, [
    [
      "the frame of the second page is not compared",
      'code.memory("i32.load", RecordField.immediate);\n  code.op("i32.eq");\n  code.brIf(advance);',
      'code.memory("i32.load", RecordField.immediate);\n  code.op("i32.ge_u");\n  code.brIf(advance);',
    ],
    [
      "a remembered branch goes on beyond the budget",
      'else code.i32(0);\n  code.op("i32.gt_s");\n  d.load32(State.attention);',
      'else code.i32(-500);\n  code.op("i32.gt_s");\n  d.load32(State.attention);',
    ],
    [
      "a remembered branch does not look at the attention word",
      'd.load32(State.attention);\n  code.op("i32.eqz");\n  code.op("i32.and");\n  code.if();\n  code.get(locals.entry);',
      "code.if();\n  code.get(locals.entry);",
    ],
    [
      "an instruction that faults is counted",
      "// A fault, or a REP that goes on: rip is this instruction's, which has not retired.\n  code.get(locals.remaining);\n  code.i32(1);",
      "// A fault, or a REP that goes on: rip is this instruction's, which has not retired.\n  code.get(locals.remaining);\n  code.i32(0);",
    ],
  ]),
  ...seeded("src/engine/dispatcher/records.ts", string, [
    [
      "a REP that goes on costs no budget",
      'code.i32(repeatCost);\n  code.op("i32.sub");',
      'code.i32(0);\n  code.op("i32.sub");',
    ],
  ]),
  ...seeded("src/engine/dispatcher/look-up.ts", loop, [
    [
      "code found in one mode is used in all",
      'd.load32(State.mode);\n  code.op("i64.extend_i32_u");\n  code.i64(32n);\n  code.op("i64.shl");\n  code.op("i64.or");\n  code.set(locals.key);',
      'code.i64(2n);\n  code.i64(32n);\n  code.op("i64.shl");\n  code.op("i64.or");\n  code.set(locals.key);',
    ],
  ]),
  ...seeded("src/engine/dispatcher/exceptions.ts", longInterrupts, [
    [
      "a page fault during a page fault is delivered as one",
      'isPageFault(locals.entry);\n  isPageFault(locals.vector);\n  code.op("i32.and");\n  code.op("i32.or");',
      "",
    ],
    ["a fault while delivering #DF only ends the run", "d.leave(Return.tripleFault);", "d.leave(Return.budget);"],
  ]),
  ...seeded("src/engine/dispatcher/resynchronise.ts", longInterrupts, [
    [
      "STI casts no shadow",
      'd.load32(State.shadow);\n  code.op("i32.eqz");\n  code.i32(0);',
      "code.i32(1);\n  code.i32(0);",
    ],
    ["a single step leaves DR6.BS clear", "code.i64(1n << 14n);", "code.i64(0n);"],
  ]),
];
