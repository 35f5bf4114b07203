import assert from "node:assert/strict";
import { test } from "node:test";
import { hvm_memmap_table_entry, hvm_modlist_entry, hvm_start_info } from "../abi/arch-x86/hvm/start_info.ts";
import { XenError } from "../bits/errors.ts";
import { loadKernel } from "./kernel.ts";
import { layOutPvh } from "./pvh.ts";
import type { PvhDomain, PvhOptions } from "./pvh.ts";
import { smallKernel } from "./synthetic-kernels.ts";

const MIB = 1 << 20;
const kernel = loadKernel(smallKernel(), "k", {});
const initrd = Uint8Array.from({ length: 5000 }, (_, i) => i & 0xff);

function layOut(changes: Partial<PvhOptions> = {}): PvhDomain {
  const processors = { online: 1, maximum: 1 };
  return layOutPvh({ kernel, memoryBytes: 64 * MIB, initrd, commandLine: "console=hvc0", processors, ...changes });
}

/** The bytes at a guest-physical address, as the writes leave them. */
function memory(domain: PvhDomain, address: number, length: number): Uint8Array {
  const write = domain.writes.find((w) => w.address <= address && address + length <= w.address + w.bytes.length);
  assert.ok(write, `nothing is written at 0x${address.toString(16)}`);
  return write.bytes.subarray(address - write.address, address - write.address + length);
}

test("pvh: start_info leads to command line, initrd and memory map", () => {
  const domain = layOut({ commandLine: "console=hvc0 naïve" });
  const info = hvm_start_info.read(memory(domain, domain.startInfoAddress, hvm_start_info.sizeof));
  assert.equal(info.magic, 0x336ec578);
  assert.equal(info.version, 1);
  assert.equal(info.nr_modules, 1);
  const expected = new TextEncoder().encode("console=hvc0 naïve\0");
  assert.deepEqual(new Uint8Array(memory(domain, Number(info.cmdline_paddr), expected.length)), expected);
  const module = hvm_modlist_entry.read(memory(domain, Number(info.modlist_paddr), hvm_modlist_entry.sizeof));
  assert.deepEqual(memory(domain, Number(module.paddr), Number(module.size)), initrd);
  assert.equal(info.memmap_entries, domain.memoryMap.length);
  domain.memoryMap.forEach(({ address, bytes, type }, i) => {
    const at = Number(info.memmap_paddr) + i * hvm_memmap_table_entry.sizeof;
    const entry = hvm_memmap_table_entry.read(memory(domain, at, hvm_memmap_table_entry.sizeof));
    assert.deepEqual(entry, { addr: BigInt(address), size: BigInt(bytes), type, reserved: 0 });
  });
  assert.equal(String.fromCharCode(...memory(domain, Number(info.rsdp_paddr), 8)), "RSD PTR ");
});

test("pvh: without an initrd there is no module", () => {
  const domain = layOut({ initrd: undefined });
  const info = hvm_start_info.read(memory(domain, domain.startInfoAddress, hvm_start_info.sizeof));
  assert.equal(info.nr_modules, 0);
  assert.equal(info.modlist_paddr, 0n);
});

test("pvh: nothing overlaps, everything has memory, and what is loaded lies above the kernel and below 1 GiB", () => {
  for (const maximum of [1, 128]) {
    for (const low of [true, false]) {
      const domain = layOut({
        kernel: { ...kernel, findsRsdpAnywhere: !low },
        processors: { online: 1, maximum },
        memoryBytes: 6 * 1024 * MIB,
      });
      const sorted = domain.writes.toSorted((a, b) => a.address - b.address);
      sorted.forEach(({ address, bytes }, i) => {
        const next = sorted[i + 1];
        assert.ok(next === undefined || address + bytes.length <= next.address, `overlap at 0x${address.toString(16)}`);
        const backed = domain.populated.some(
          (range) => range.address <= address && address + bytes.length <= range.address + range.bytes,
        );
        assert.ok(backed, `no memory at 0x${address.toString(16)}`);
      });
      for (const { address } of domain.writes) {
        const belongs = kernel.segments.some((segment) => segment.physicalAddress === address) || address === 0xfffc0;
        assert.ok(belongs || (address >= kernel.end && address < 1 << 30) || address >= 0xfc000000);
      }
      const rsdp = hvm_start_info.read(memory(domain, domain.startInfoAddress, hvm_start_info.sizeof)).rsdp_paddr;
      assert.equal(rsdp === 0xfffc0n, low);
    }
  }
});

test("pvh: RAM stops at 0xfc000000 and goes on at 4 GiB; the special pages are reserved", () => {
  const map = layOut({ memoryBytes: 5 * 1024 * MIB }).memoryMap;
  assert.deepEqual(
    map.map(({ address, bytes, type }) => [address, address + bytes, type]),
    [
      [0, 0xfc000000, 1],
      [0xfc000000, 0xfc003000, 4],
      [0xfeff8000, 0xff000000, 2],
      [2 ** 32, 2 ** 32 + 5 * 1024 * MIB - 0xfc000000, 1],
    ],
  );
  assert.equal(layOut({ memoryBytes: 0xfc000000 }).memoryMap.length, 3);
});

test("pvh: too little memory names the least that loads, and that much loads", () => {
  let least = 0;
  assert.throws(
    () => layOut({ memoryBytes: 16 * MIB }),
    (error) => {
      assert.ok(error instanceof XenError && error.code === "not-enough-memory");
      least = Number(/takes (\d+) MiB/.exec(error.message)?.[1]);
      return true;
    },
  );
  assert.equal(least, 19);
  assert.equal(layOut({ memoryBytes: least * MIB }).memoryMap[0]!.bytes, least * MIB);
  assert.throws(() => layOut({ memoryBytes: (least - 1) * MIB }), XenError);
});

test("pvh: what cannot be loaded says so", () => {
  const fails = (code: string, changes: Partial<PvhOptions>): void =>
    assert.throws(
      () => layOut({ memoryBytes: 2048 * MIB, ...changes }),
      (error) => error instanceof XenError && error.code === code,
    );
  fails("bad-initrd", { initrd: new Uint8Array(1010 * MIB) });
  fails("not-a-kernel", { kernel: { ...kernel, end: 1 << 30 } });
  fails("invalid-argument", { commandLine: "x".repeat(2048) });
  fails("invalid-argument", { commandLine: "a\0b" });
  assert.ok(layOut({ commandLine: "x".repeat(2047) }));
});

test("pvh: the processor starts as the ABI says", () => {
  const { context, startInfoAddress } = layOut();
  assert.equal(context.rip, BigInt(kernel.entry));
  assert.equal(context.gpr[3], BigInt(startInfoAddress));
  assert.equal(context.gpr.filter((value) => value !== 0n).length, 1);
  assert.equal(context.cr0, 0x11n);
  assert.equal(context.cr4 | context.cr3 | context.efer, 0n);
  assert.equal(context.rflags, 2n);
  assert.deepEqual(context.segments.cs, { selector: 0, base: 0n, limit: 0xffffffff, attributes: 0xc9b });
  for (const name of ["ds", "es", "ss"] as const) assert.equal(context.segments[name].attributes, 0xc93);
  assert.deepEqual(context.segments.tr, { selector: 0, base: 0n, limit: 0x67, attributes: 0x8b });
  assert.equal(context.segments.fs.attributes, 0);
});
