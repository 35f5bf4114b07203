import { seeded } from "../mutation.ts";
import type { Mutation } from "../mutation.ts";

const integer = ["src/x86/instructions/integer.test.ts"];
const protectedMode = ["test/system/protected-mode.test.ts"];
const longInterrupts = ["test/system/long-interrupts.test.ts"];
const longTransfers = ["test/system/long-transfers.test.ts"];
const privilege = ["test/system/privilege.test.ts"];
const registers = ["test/system/registers.test.ts"];
const system = ["test/system/system.test.ts"];

/** Bugs in the descriptions of instructions, in what they share, and in the routines behind them. */
export const instructions: readonly Mutation[] = [
  ...seeded("src/x86/flags.ts", integer, [
    [
      "an addition carries out of a bit only where both operands have it",
      "ir.or(ir.and(a, b), ir.and(ir.or(a, b), ir.not(r)))",
      "ir.and(a, b)",
    ],
    [
      "a product that just fits a signed half is an overflow",
      "ir.ne(multiplyHighSigned(ir, a!, b!), ir.sar(low!, 63));",
      "ir.ne(multiplyHighSigned(ir, a!, b!), ir.const(low!.type, 0));",
    ],
    [
      "AF is taken from bit 4",
      "ir.or(ir.shl(ir.and(wide, 3n << BigInt(bits - 2)), 64 - bits), ir.and(wide, 8))",
      "ir.or(ir.shl(ir.and(wide, 3n << BigInt(bits - 2)), 64 - bits), ir.shr(ir.and(wide, 16), 1))",
    ],
    ["INC and DEC clear CF", 'ir.hold(ir.and(ir.get("i64", State.ccAux), top))', 'ir.hold(ir.const("i64", 0))'],
    [
      "PF looks at 16 bits",
      'ir.shr(ir.get("i64", State.ccAux), 8)), 0xff)',
      'ir.shr(ir.get("i64", State.ccAux), 8)), 0xffff)',
    ],
    ['"less" is SF alone', "return ir.lts(ir.xor(sign, ir.xor(aux, ir.shl(aux, 1))), 0);", "return ir.lts(sign, 0);"],
    [
      '"below or equal" forgets ZF',
      "(ir) => ir.or(statusFlags.cf(ir), statusFlags.zf(ir)),",
      "(ir) => statusFlags.cf(ir),",
    ],
  ]),
  ...seeded("src/x86/instructions/arithmetic.ts", integer, [
    ["SBB subtracts without the borrow", "ir.sub(ir.sub(before, subtrahend), borrow)", "ir.sub(before, subtrahend)"],
    [
      "NEG sets its flags like a subtraction from its result",
      "ir.flags.sub(ir.const(destination.type, 0), before, after);",
      "ir.flags.sub(after, before, ir.const(destination.type, 0));",
    ],
  ]),
  ...seeded("src/x86/instructions/shift.ts", integer, [
    ["SHR by one leaves OF clear", "isNegative(ir, before)],", 'ir.const("i1", 0)],'],
    [
      "a shift by 0 changes flags",
      "ir.if(ir.ne(count, 0), () => {\n    const [cf, of]",
      "ir.if(ir.leu(0, count), () => {\n    const [cf, of]",
    ],
    [
      "SHRD fills with one bit too many",
      "ir.or(ir.shr(value, count), ir.shl(ir.shl(filler, 1), ir.xor(count, bitsOf[type] - 1)))",
      "ir.or(ir.shr(value, count), ir.shl(filler, ir.xor(count, bitsOf[type] - 1)))",
    ],
  ]),
  ...seeded("src/x86/shift-count.ts", integer, [
    ["64-bit shifts mask their count to 5 bits", "destination.bits === 64 ? 63 : 31", "31"],
  ]),
  ...seeded("src/x86/instructions/divide.ts", integer, [
    [
      "a 32-bit quotient of 2^32 is let through",
      "const high = ir.trunc(ir.shr(number, bits), type);\n    divideError(ir, ir.leu(divisor, high));",
      "const high = ir.trunc(ir.shr(number, bits), type);\n    divideError(ir, ir.ltu(divisor, high));",
    ],
    ["IDIV's quotient may be 2^63", 'ir.const("i64", (1n << 63n) - 1n));', 'ir.const("i64", 1n << 63n));'],
    [
      "IDIV does not see that a narrow quotient is too long",
      "divideError(ir, ir.ne(ir.sext(short, wide), quotient));",
      "",
    ],
  ]),
  ...seeded("src/x86/instructions/move.ts", integer, [
    [
      "MOVSX extends with zeros",
      '"0F BF  Gv,Ew"],\n  semantics: (ir, destination, source) => destination.write(ir.sext(',
      '"0F BF  Gv,Ew"],\n  semantics: (ir, destination, source) => destination.write(ir.zext(',
    ],
    [
      "MOVSXD extends with zeros",
      'encodings: ["63  Gv,Ez  x64"],\n  semantics: (ir, destination, source) => destination.write(ir.sext(',
      'encodings: ["63  Gv,Ez  x64"],\n  semantics: (ir, destination, source) => destination.write(ir.zext(',
    ],
  ]),
  ...seeded("src/x86/instructions/bit-test.ts", integer, [
    [
      "a bit string's negative offset leads forward",
      'ir.sar(ir.sext(index, "i64"), log2)',
      'ir.shr(ir.sext(index, "i64"), log2)',
    ],
  ]),
  ...seeded("src/x86/instructions/condition.ts", integer, [
    [
      "CMOVcc leaves the upper half of RAX where the condition fails",
      "destination.write(ir.select(ir.condition(), value, destination.read()));",
      "ir.if(ir.condition(), () => destination.write(value));",
    ],
  ]),
  ...seeded("src/x86/instructions/exchange.ts", integer, [
    [
      "NOP clears the upper half of RAX",
      'if (register.type !== "i32") swap();',
      'if (register.type === "i32") swap();',
    ],
    ["CMPXCHG that fails leaves the accumulator", '() => ir.setGpr("rax", before),', "() => {},"],
  ]),
  ...seeded("src/x86/eflags.ts", privilege, [
    [
      "POPF and IRET change IOPL outside ring 0",
      'ir.select(ir.eqz(cpl), ir.const("i32", kernel), none)',
      'ir.const("i32", kernel)',
    ],
    ["IF may be changed only below IOPL", "ir.select(ir.leu(cpl, iopl(ir))", "ir.select(ir.ltu(cpl, iopl(ir))"],
  ]),
  ...seeded("src/x86/instructions/system.ts", system, [
    ["HLT is for everyone", 'encodings: ["F4  -  cpl0"]', 'encodings: ["F4  -  system"]'],
    ["INVLPG is for everyone", 'encodings: ["0F 01 /7  M  cpl0"]', 'encodings: ["0F 01 /7  M  system"]'],
    ["INVPCID takes a kind too many", "ir.if(ir.ltu(3, kind), refuse);", "ir.if(ir.ltu(4, kind), refuse);"],
  ]),
  ...seeded(
    "src/x86/routines/port-access.ts",
    [...privilege, ...system],
    [
      [
        "ports are open above IOPL",
        'ir.ltu(iopl(ir), ir.get("i32", State.cpl))',
        'ir.ltu(ir.get("i32", State.cpl), iopl(ir))',
      ],
      [
        "only the first port of an access is looked up in the bitmap",
        'ir.sub(ir.shl(ir.const("i32", 1), bytes), 1)',
        'ir.const("i32", 1)',
      ],
      [
        "the bitmap's last byte may lie beyond the TSS",
        "ir.if(ir.ltu(limit, ir.add(at, 1)), refuse);",
        "ir.if(ir.ltu(limit, at), refuse);",
      ],
    ],
  ),
  ...seeded("src/x86/privilege.ts", privilege, [
    [
      "CR4.UMIP binds the kernel too",
      'ir.if(ir.and(prevents, ir.ne(ir.get("i32", State.cpl), 0)), ',
      "ir.if(prevents, ",
    ],
  ]),
  ...seeded("src/x86/routines/control-registers.ts", registers, [
    ["CR0.PG without PE is taken", "ir.if(ir.and(paging, ir.eqz(bit(value, Cr0.pe))), () => refuse(ir));", ""],
    ["IA-32e mode can be entered without PAE", "ir.or(ir.eqz(bit(cr4, Cr4.pae)), codeIsLong(ir))", "codeIsLong(ir)"],
    ["CR3 takes bit 63 without PCIDs", 'ir.const("i64", reserved | (1n << 63n))', 'ir.const("i64", reserved)'],
    [
      "PCIDs can be switched on over one that is not 0",
      'ir.or(ir.eqz(long), has(ir, ir.get("i64", State.cr3), 0xfff))',
      "ir.eqz(long)",
    ],
  ]),
  ...seeded("src/x86/instructions/fast-calls.ts", longTransfers, [
    ["SYSCALL leaves the flags that IA32_FMASK masks", 'ir.and(flags, ir.not(ir.get("i32", State.fmask)))', "flags"],
    ["SYSRET is for everyone", "requireSystemCalls(ir);\n    ir.requirePrivilege();", "requireSystemCalls(ir);"],
    [
      "SYSRETQ goes to a non-canonical address",
      "if (wide) ir.if(ir.eqz(isCanonical(ir, target)), () => ir.fault(Vector.GP, 0));",
      "",
    ],
  ]),
  ...seeded("src/x86/routines/interrupt-long.ts", longInterrupts, [
    [
      "INT n passes a gate of higher privilege",
      "ir.if(ir.and(ir.ne(kind, 0), ir.ltu(dplOf(ir, gate), cpl)), () => ir.fault(Vector.GP, error));",
      "",
    ],
    [
      "the stack of an interrupt frame is aligned to 8 bytes",
      "return ir.and(ir.read(pointer), -16n);",
      "return ir.and(ir.read(pointer), -8n);",
    ],
    [
      "a gate's error code lacks the IDT bit",
      "ir.or(ir.or(ir.shl(vector, 3), 2), external)",
      "ir.or(ir.shl(vector, 3), external)",
    ],
    [
      "an IST switches stacks only out of an outer ring",
      "ir.if(ir.or(inner, ir.ne(ist, 0)), () => {",
      "ir.if(inner, () => {",
    ],
  ]),
  ...seeded("src/x86/routines/interrupt-protected.ts", protectedMode, [
    [
      "a ring-0 stack that is not present is #TS",
      "ir.fault(Vector.SS, selectorError(ir, selector, external)),\n  );\n  const segment",
      "ir.fault(Vector.TS, selectorError(ir, selector, external)),\n  );\n  const segment",
    ],
    [
      "the inner stack's DPL is not compared",
      "ir.or(ir.ne(ir.and(selector, 3), dpl), ir.ne(dplOf(ir, attributes), dpl))",
      "ir.ne(ir.and(selector, 3), dpl)",
    ],
  ]),
  ...seeded("src/x86/routines/interrupt-return.ts", privilege, [
    [
      "IRETQ ignores NT",
      'ir.if(ir.ne(ir.and(ir.get("i32", State.flags), FlagBit.nt), 0), () => ir.fault(Vector.GP, 0));',
      "",
    ],
    [
      "IRETQ to ring 3 leaves the kernel's data segments loaded",
      "ir.if(ir.ltu(cpl, rpl), () => dropInnerSegments(ir));",
      "",
    ],
  ]),
  ...seeded(
    "src/x86/routines/load-segment.ts",
    [...privilege, ...protectedMode],
    [
      [
        "a data segment's DPL is compared with CPL alone",
        "ir.or(ir.ltu(dpl, ir.and(selector, 3)), ir.ltu(dpl, cpl))",
        "ir.ltu(dpl, cpl)",
      ],
      [
        "SS takes a segment that cannot be written",
        "ir.if(ir.eqz(isWritableData(ir, attributes)), refuse);\n  ir.if(ir.ne(dplOf",
        "ir.if(ir.ne(dplOf",
      ],
      [
        "a data segment that is not present is #GP",
        "ir.fault(Vector.NP, selectorError(ir, selector)));\n}",
        "ir.fault(Vector.GP, selectorError(ir, selector)));\n}",
      ],
      ["loading a segment leaves its accessed bit", "markAccessed(ir, found);", ""],
    ],
  ),
];
