/** Which accesses page tables allow, and what is said of those that they do not. Intel SDM Vol. 3A, "Paging". */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Exit, Layout, Selector, createMachine, hex } from "../../../test/engine-harness.ts";
import type { Machine, MachineMode } from "../../../test/engine-harness.ts";
import type { Platform } from "../engine.ts";
import { P2mType } from "../engine.ts";

const [P, W, U, A, D, PS] = [1n, 2n, 4n, 0x20n, 0x40n, 0x80n];
const XD = 1n << 63n;
const WP = 1n << 16n;
const [PSE, PAE, SMEP, SMAP] = [0x10n, 0x20n, 1n << 20n, 1n << 21n];
const AC = 1n << 18n;

const page = 0x400000n;
const frame = 0x200000;
const code = 0x10000n;

/** mov al, [rcx]; mov [rcx], al; jmp rcx — the target has HLT, which ring 3 may not execute. */
const accesses = { read: "8a01f4", write: "8801f4", fetch: "ffe1" };

interface Try {
  readonly access: keyof typeof accesses;
  readonly cpl?: 0 | 3;
  readonly cr0?: bigint;
  readonly cr4?: bigint;
  readonly rflags?: bigint;
  readonly efer?: bigint;
}

/** Prepares one access of the page by a machine. */
function prepare(machine: Machine, { access, cpl = 0, cr0 = WP, cr4 = 0n, rflags = 0n, efer }: Try): void {
  machine.load(Number(code), hex(accesses[access]));
  machine.load(frame, hex("f4"));
  machine.map(code, Number(code), cpl === 3 ? P | W | U : P | W);
  const context = machine.context();
  context.rip = code;
  context.gpr[1] = page;
  context.gpr[4] = 0x8000n;
  context.cr0 = (context.cr0 & ~WP) | cr0;
  context.cr4 |= cr4;
  context.rflags |= rflags;
  context.efer = efer ?? context.efer;
  machine.vcpu.setContext(context);
}

const machines = { 0: createMachine("long", 0), 3: createMachine("long", 3) };

/** @returns "ok", or the page fault's error code. */
function attempt(flags: bigint, what: Try): string | number {
  const machine = machines[what.cpl ?? 0];
  machine.map(page, frame, flags);
  prepare(machine, what);
  const { exception } = machine.run();
  if (exception?.vector !== 14) return "ok";
  assert.equal(exception.cr2, page);
  return exception.errorCode ?? "no error code";
}

const rights: readonly (readonly [what: string, flags: bigint, access: Try, expected: string | number])[] = [
  ["a page that is not present", 0n, { access: "read" }, 0],
  ["a page that is not present, written by ring 3", 0n, { access: "write", cpl: 3 }, 6],
  ["a user page read by ring 3", P | U, { access: "read", cpl: 3 }, "ok"],
  ["a supervisor page read by ring 3", P | W, { access: "read", cpl: 3 }, 5],
  ["a read-only page written by ring 3", P | U, { access: "write", cpl: 3 }, 7],
  ["a read-only page written by ring 3 without WP", P | U, { access: "write", cpl: 3, cr0: 0n }, 7],
  ["a read-only page written by ring 0", P, { access: "write" }, 3],
  ["a read-only page written by ring 0 without WP", P, { access: "write", cr0: 0n }, "ok"],
  ["an XD page executed", P | XD, { access: "fetch" }, 0x11],
  ["an XD page executed by ring 3", P | U | XD, { access: "fetch", cpl: 3 }, 0x15],
  ["an XD page read", P | XD, { access: "read" }, "ok"],
  ["an XD page without EFER.NXE", P | XD, { access: "read", efer: 0x501n }, 9],
  ["a page that is not present executed without NXE and SMEP", 0n, { access: "fetch", efer: 0x501n }, 0],
  ["a page that is not present executed under SMEP", 0n, { access: "fetch", efer: 0x501n, cr4: SMEP }, 0x10],
  ["a user page executed by ring 0", P | U, { access: "fetch" }, "ok"],
  ["a user page executed by ring 0 under SMEP", P | U, { access: "fetch", cr4: SMEP }, 0x11],
  ["a user page executed by ring 3 under SMEP", P | U, { access: "fetch", cpl: 3, cr4: SMEP }, "ok"],
  ["a user page read by ring 0", P | U, { access: "read" }, "ok"],
  ["a user page read by ring 0 under SMAP", P | U, { access: "read", cr4: SMAP }, 1],
  ["a user page written by ring 0 under SMAP", P | W | U, { access: "write", cr4: SMAP }, 3],
  ["a user page read by ring 0 under SMAP with AC", P | U, { access: "read", cr4: SMAP, rflags: AC }, "ok"],
  ["a user page executed by ring 0 under SMAP", P | U, { access: "fetch", cr4: SMAP }, "ok"],
  ["a user page read by ring 3 under SMAP", P | U, { access: "read", cpl: 3, cr4: SMAP }, "ok"],
  ["an address bit beyond the physical width", P | (1n << 45n), { access: "read" }, 9],
  ["an address bit beyond the physical width, by ring 3", P | U | (1n << 45n), { access: "write", cpl: 3 }, 0xf],
];

test("paging: rights of the last level", () => {
  for (const [what, flags, access, expected] of rights) assert.equal(attempt(flags, access), expected, what);
});

/** Physical address of the entry for a linear address at a level: 4 is the PML4's. */
function entryAt({ ram, context }: Machine, linear: bigint, level: number): number {
  let table = Number(context().cr3);
  for (let now = 4; ; now--) {
    const at = table + Number((linear >> BigInt(3 + 9 * now)) & 511n) * 8;
    if (now === level) return at;
    table = Number(ram.getBigUint64(at, true) & 0xffff_f000n);
  }
}

/** Changes an upper entry for one attempt. */
function withUpper<T>(machine: Machine, level: number, change: (entry: bigint) => bigint, work: () => T): T {
  machine.map(page, frame, P);
  const at = entryAt(machine, page, level);
  const before = machine.ram.getBigUint64(at, true);
  machine.ram.setBigUint64(at, change(before), true);
  try {
    return work();
  } finally {
    machine.ram.setBigUint64(at, before, true);
  }
}

test("paging: each level takes rights away", () => {
  // The page directory's entry for the page is its alone; those above hold the code too.
  const denied = (change: (entry: bigint) => bigint, what: Try) =>
    withUpper(machines[what.cpl ?? 0], 2, change, () => attempt(P | W | U, what));
  assert.equal(
    denied((entry) => entry, { access: "write", cpl: 3 }),
    "ok",
  );
  assert.equal(
    denied((entry) => entry & ~U, { access: "read", cpl: 3 }),
    5,
  );
  assert.equal(
    denied((entry) => entry & ~W, { access: "write", cpl: 3 }),
    7,
  );
  assert.equal(
    denied((entry) => entry | XD, { access: "fetch" }),
    0x11,
  );
  assert.equal(
    denied((entry) => entry | (1n << 40n), { access: "read" }),
    9,
  );
});

test("paging: A at every level, D at the last one and for writes alone", () => {
  const machine = machines[0];
  const flags = () =>
    [4, 3, 2, 1].map((level) => machine.ram.getBigUint64(entryAt(machine, page, level), true) & (A | D));
  machine.map(page, frame, P | W);
  const at = entryAt(machine, page, 2);
  machine.ram.setBigUint64(at, machine.ram.getBigUint64(at, true) & ~A, true);
  assert.equal(attempt(P | W, { access: "read" }), "ok");
  assert.deepEqual(flags().slice(2), [A, A]);
  // A page that was only read so far, and whose translation is cached.
  machine.load(Number(code), hex("8a01 8801 f4"));
  machine.vcpu.rip = code;
  machine.run();
  assert.deepEqual(flags().slice(2), [A, A | D]);
  assert.equal(flags()[0]! & D, 0n);
});

test("paging: a fault sets no bit in the entry that refuses", () => {
  assert.equal(attempt(P, { access: "write" }), 3);
  assert.equal(machines[0].entry(page) & (A | D), 0n);
});

test("paging: pages of 2 MiB and 1 GiB, aligned to their size", () => {
  const machine = machines[0];
  machine.ram.setUint8(0x201234, 0x5a);
  const read = (address: bigint, level: number, entry: bigint) => {
    machine.map(address, frame, P);
    machine.ram.setBigUint64(entryAt(machine, address, level), entry, true);
    prepare(machine, { access: "read" });
    machine.vcpu.setGpr(0, 0n);
    machine.vcpu.setGpr(1, address + 0x201234n);
    const { exception } = machine.run();
    return exception === undefined ? machine.vcpu.gpr(0) : exception.errorCode;
  };
  const [gib, mib] = [1n << 30n, 2n << 30n];
  assert.equal(read(gib, 3, P | W | PS), 0x5an);
  assert.equal(read(gib, 3, P | W | PS | (1n << 29n)), 9);
  // The address is in the second of two large pages.
  machine.map(mib, frame, P);
  const second = entryAt(machine, mib, 2) + 8;
  const readSecond = (entry: bigint) => {
    machine.ram.setBigUint64(second, entry, true);
    return read(mib, 1, P);
  };
  assert.equal(readSecond(0x200000n | P | W | PS), 0x5an);
  // Bit 12 is PAT; those above it, below the page's size, are reserved.
  assert.equal(readSecond(0x201000n | P | W | PS), 0x5an);
  assert.equal(readSecond(0x202000n | P | W | PS), 9);
  assert.equal(readSecond(0x300000n | P | W | PS), 9);
});

test("paging: an entry of the top level may not be large", () => {
  const machine = createMachine("long");
  machine.map(1n << 39n, frame, P | W);
  const at = entryAt(machine, 1n << 39n, 4);
  const read = () => {
    prepare(machine, { access: "read" });
    machine.vcpu.setGpr(1, 1n << 39n);
    return machine.run().exception?.errorCode;
  };
  assert.equal(read(), undefined);
  machine.ram.setBigUint64(at, machine.ram.getBigUint64(at, true) | PS, true);
  assert.equal(read(), 9);
});

test("paging: the processor's own accesses are supervisor's, and SMAP knows no exception for them", () => {
  const load = (flags: bigint) => {
    const machine = createMachine("long");
    machine.map(page, Layout.gdt, flags);
    // mov ds, eax; hlt
    machine.load(Number(code), hex("8ed8 f4"));
    const context = machine.context();
    context.rip = code;
    context.gpr[0] = BigInt(Selector.data);
    context.gpr[4] = 0x8000n;
    context.rflags |= AC;
    context.cr4 |= SMAP;
    context.gdtr = { base: page, limit: 0xff };
    machine.vcpu.setContext(context);
    return machine.run().exit;
  };
  assert.equal(load(P | W), Exit.halt);
  // The handlers of the page fault and of the double fault need the table as well.
  assert.equal(load(P | W | U), Exit.tripleFault);
});

test("paging: CR2 has every bit of the address; of an access across pages, where it goes on", () => {
  const machine = createMachine("long");
  const run = (bytes: string, address: bigint) => {
    machine.load(Number(code), hex(bytes));
    prepareRegisters(machine, address);
    const { exception } = machine.run();
    return exception && [exception.vector, exception.errorCode, exception.cr2];
  };
  machine.map(page, frame, P | W);
  assert.deepEqual(run("8a01 f4", page + 0x1234n), [14, 0, page + 0x1234n]);
  assert.deepEqual(run("488b01 f4", page + 0xff9n), [14, 0, page + 0x1000n]);
  assert.equal(run("488b01 f4", page + 0xff8n), undefined);
  // mov qword [rcx], -1 into a read-only second page: nothing of it is stored.
  machine.map(page + 0x1000n, frame + 0x1000, P);
  machine.ram.setBigUint64(frame + 0xff8, 0n, true);
  assert.deepEqual(run("48c701ffffffff f4", page + 0xffcn), [14, 3, page + 0x1000n]);
  assert.equal(machine.ram.getBigUint64(frame + 0xff8, true), 0n);
});

function prepareRegisters(machine: Machine, rcx: bigint, rsp = 0x8000n): void {
  const context = machine.context();
  context.rip = code;
  context.gpr[1] = rcx;
  context.gpr[4] = rsp;
  context.cr0 |= WP;
  machine.vcpu.setContext(context);
}

function faulted(machine: Machine): readonly (number | undefined)[] {
  const { exception } = machine.run();
  return [exception?.vector, exception?.errorCode];
}

test("paging: a non-canonical address is #GP(0), through the stack #SS(0)", () => {
  const machine = createMachine("long");
  const bad = 0x8000_0000_0000n;
  machine.load(Number(code), hex("8a01 f4"));
  prepareRegisters(machine, bad);
  assert.deepEqual(faulted(machine), [13, 0]);
  // pop rax; delivery takes an IST, as the stack cannot be used.
  machine.ram.setBigUint64(Layout.tss + 0x24, BigInt(Layout.stackTop), true);
  for (const vector of [12, 13]) machine.ram.setUint8(Layout.idt + vector * 16 + 4, 1);
  machine.load(Number(code), hex("58 f4"));
  prepareRegisters(machine, 0n, bad);
  assert.deepEqual(faulted(machine), [12, 0]);
});

/** A machine in 32-bit mode whose first 4 MiB are mapped to themselves, by tables of 4-byte entries. */
function narrowMachine(cpl: 0 | 3, cr4: bigint, platform: Partial<Platform> = {}) {
  const machine = createMachine("protected", cpl, platform);
  const [directory, table, other] = [0x30000, 0x31000, 0x32000];
  for (let n = 0; n < 1024; n++) machine.ram.setUint32(table + n * 4, (n * 4096) | 7, true);
  machine.ram.setUint32(directory, table | 7, true);
  const run = (directoryEntry: number, tableEntry: number, access: keyof typeof accesses) => {
    machine.ram.setUint32(directory + 4, directoryEntry, true);
    machine.ram.setUint32(other, tableEntry, true);
    machine.load(Number(code), hex(accesses[access]));
    const context = machine.context();
    context.rip = code;
    context.gpr[1] = page;
    context.gpr[4] = 0x8000n;
    context.cr0 = 0x80010033n;
    context.cr3 = BigInt(directory);
    context.cr4 = 0x600n | cr4;
    machine.vcpu.setContext(context);
    const { exception } = machine.run();
    return exception?.vector === 14 ? exception.errorCode : "ok";
  };
  return { machine, other, run };
}

test("paging: tables of 4-byte entries take rights away at both levels", () => {
  const { other, run } = narrowMachine(3, 0n);
  assert.equal(run(other | 7, frame | 7, "write"), "ok");
  assert.equal(run(other | 5, frame | 7, "write"), 7);
  assert.equal(run(other | 3, frame | 7, "read"), 5);
  assert.equal(run(other | 7, frame | 5, "write"), 7);
  assert.equal(run(0, frame | 7, "read"), 4);
});

test("paging: pages of 4 MiB need CR4.PSE, and reach beyond 4 GiB", () => {
  const reads: number[] = [];
  const platform = { mmioRead: (address: number) => (reads.push(address), 0n) };
  const { machine, other, run } = narrowMachine(0, PSE, platform);
  machine.ram.setUint8(0x400000, 0x77);
  assert.equal(run(0x400000 | 0x83, 0, "read"), "ok");
  assert.equal(machine.vcpu.gpr(0) & 0xffn, 0x77n);
  // Bits 13–20 are bits 32–39 of the address; what lies above the physical width is reserved.
  assert.equal(run(0x400000 | (1 << 13) | 0x83, 0, "read"), "ok");
  assert.deepEqual(reads, [0x1_0040_0000]);
  assert.equal(run(0x400000 | (1 << 21) | 0x83, 0, "read"), 9);
  const without = narrowMachine(0, 0n);
  assert.equal(without.run(other | 0x83, 0, "read"), 0);
});

test("paging: PAE entries of the top level have no rights, and reserved bits in their place", () => {
  const machine = createMachine("protected", 3);
  const [top, directory, table] = [0x30000, 0x31000, 0x32000];
  const write = (at: number, value: bigint) => machine.ram.setBigUint64(at, value, true);
  write(directory + 16, BigInt(table) | P | W | U);
  write(table, BigInt(frame) | P | W | U);
  const translate = (entry: bigint) => {
    write(top, entry);
    machine.vcpu.setContext({ ...machine.context(), cr0: 0x80010033n, cr3: BigInt(top), cr4: 0x600n | PAE });
    return machine.vcpu.translate(page, "write");
  };
  assert.equal(translate(BigInt(directory) | P), frame);
  for (const bit of [W, U, A, D, PS, XD]) assert.equal(translate(BigInt(directory) | P | bit), undefined, `${bit}`);
  assert.equal(translate(BigInt(directory)), undefined);
});

test("paging: read-only memory is read, and writes to it are the platform's", () => {
  const writes: [number, bigint][] = [];
  const machine = createMachine("long", 0, {
    mmioWrite: (address: number, _: number, value: bigint) => writes.push([address, value]),
  });
  machine.map(page, frame, P | W);
  machine.memory.setP2m(frame >> 12, P2mType.ramReadOnly, machine.memory.firstFrame + (frame >> 12));
  machine.ram.setUint8(frame, 0x11);
  // mov al, [rcx]; mov byte [rcx], 0x22; mov byte [rcx], 0x33; mov ah, [rcx]; hlt
  machine.load(Number(code), hex("8a01 c60122 c60133 8a21 f4"));
  prepareRegisters(machine, page);
  machine.run();
  assert.equal(machine.vcpu.gpr(0), 0x1111n);
  assert.deepEqual(writes, [
    [frame, 0x22n],
    [frame, 0x33n],
  ]);
});

test("paging: alignment is checked for ring 3 with CR0.AM and AC, and not in what the processor does itself", () => {
  for (const mode of ["long", "protected"] as readonly MachineMode[]) {
    const machine = createMachine(mode, 3);
    // A descriptor table that is not aligned; mov eax, [rcx] after mov es, edx.
    const gdt = 0x12001;
    for (let n = 0; n < 0x100; n++) machine.ram.setUint8(gdt + n, machine.ram.getUint8(Layout.gdt + n));
    machine.load(Number(code), hex("8ec2 8b01 8b4101"));
    if (mode === "long") machine.map(code, Number(code), P | W | U);
    if (mode === "long") machine.map(0x14000n, 0x14000, P | W | U);
    const context = machine.context();
    context.rip = code;
    context.gpr[1] = 0x14000n;
    context.gpr[2] = BigInt(Selector.userData);
    context.gdtr = { base: BigInt(gdt), limit: 0xff };
    context.cr0 |= 1n << 18n;
    context.rflags |= AC;
    machine.vcpu.setContext(context);
    const { exception } = machine.run();
    assert.deepEqual([exception?.vector, exception?.errorCode, exception?.rip], [17, 0, code + 4n], mode);
  }
});
