import assert from "node:assert/strict";
import { test } from "node:test";
import { ACPI_INFO_ADDRESS, acpiTables } from "./acpi.ts";
import type { AcpiTables, Processors } from "./acpi.ts";
import * as aml from "./aml.ts";

/** The tables as an operating system finds them: from the RSDP on, each with its sum checked. */
function walk(tables: AcpiTables): { xsdt: Map<string, Uint8Array>; rsdt: Map<string, Uint8Array> } {
  const at = (address: number): Uint8Array => {
    const write = tables.writes.find((candidate) => candidate.address === address);
    assert.ok(write, `no table at 0x${address.toString(16)}`);
    return write.bytes;
  };
  const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const sum = (bytes: Uint8Array): number => bytes.reduce((total, byte) => (total + byte) & 0xff, 0);
  const checked = (address: number): [string, Uint8Array] => {
    const table = at(address);
    assert.equal(view(table).getUint32(4, true), table.length, "length");
    assert.equal(sum(table), 0, "checksum");
    assert.equal(String.fromCharCode(...table.subarray(10, 24)), "Xen\0\0\0HVM\0\0\0\0\0");
    return [String.fromCharCode(...table.subarray(0, 4)), table];
  };
  const rsdp = at(tables.rsdpAddress);
  assert.equal(sum(rsdp.subarray(0, 20)), 0);
  assert.equal(sum(rsdp), 0);
  assert.equal(rsdp[15], 2);
  const [rsdtName, rsdt] = checked(view(rsdp).getUint32(16, true));
  const [xsdtName, xsdt] = checked(Number(view(rsdp).getBigUint64(24, true)));
  assert.equal(rsdtName + xsdtName, "RSDTXSDT");
  const entries = (table: Uint8Array, bytes: 4 | 8): number[] =>
    Array.from({ length: (table.length - 36) / bytes }, (_, i) =>
      bytes === 4 ? view(table).getUint32(36 + i * 4, true) : Number(view(table).getBigUint64(36 + i * 8, true)),
    );
  const fromXsdt = new Map(entries(xsdt, 8).map(checked));
  const facp = fromXsdt.get("FACP")!;
  fromXsdt.set(...checked(Number(view(facp).getBigUint64(140, true))));
  const facs = at(Number(view(facp).getBigUint64(132, true)));
  fromXsdt.set("FACS", facs);
  assert.equal(view(facp).getUint32(132, true) % 64, 0, "a FACS is aligned to 64 bytes");
  return { xsdt: fromXsdt, rsdt: new Map(entries(rsdt, 4).map(checked)) };
}

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

test("acpi: the tables and their checksums, from the RSDP on", () => {
  for (const place of ["high", "low"] as const) {
    const tables = acpiTables({ online: 2, maximum: 4 }, place);
    const { xsdt, rsdt } = walk(tables);
    assert.deepEqual([...xsdt.keys()], ["FACP", "APIC", "DSDT", "FACS"]);
    assert.deepEqual([...rsdt.keys()], ["FACP", "APIC"]);
    assert.equal(rsdt.get("FACP")!.length, 116);
    assert.equal(rsdt.get("FACP")![8], 1);
    assert.equal(tables.bytes % 4096, 0);
  }
});

test("acpi: the FADT says what a PVH domain lacks", () => {
  const facp = walk(acpiTables({ online: 1, maximum: 1 }, "high")).xsdt.get("FACP")!;
  assert.equal(facp.length, 268);
  assert.equal(facp[8], 5);
  assert.equal(view(facp).getUint16(46, true), 9, "sci_int");
  assert.equal(view(facp).getUint32(48, true), 0, "smi_cmd");
  assert.equal(view(facp).getUint32(56, true), 0xb000, "pm1a_evt_blk");
  assert.equal(view(facp).getUint32(64, true), 0xb004, "pm1a_cnt_blk");
  assert.equal(view(facp).getUint32(76, true), 0, "pm_tmr_blk");
  assert.equal(view(facp).getUint32(80, true), 0xafe0, "gpe0_blk");
  assert.deepEqual([...facp.subarray(88, 94)], [4, 2, 0, 0, 4, 0]);
  assert.equal(view(facp).getUint16(109, true), 0x24, "iapc_boot_arch");
  assert.equal(view(facp).getUint32(112, true), 0x8175, "flags");
  assert.equal(view(facp).getBigUint64(120, true), 0xcf9n, "reset_reg");
  assert.equal(facp[128], 6, "reset_value");
  assert.deepEqual([...facp.subarray(148, 152)], [1, 32, 0, 0], "x_pm1a_evt_blk is in I/O space");
  assert.equal(view(facp).getBigUint64(152, true), 0xb000n);
});

test("acpi: the MADT has an entry for each processor, and acpi_info leads to them", () => {
  const processors: Processors = { online: 2, maximum: 3 };
  const tables = acpiTables(processors, "high");
  const madt = walk(tables).xsdt.get("APIC")!;
  assert.equal(view(madt).getUint32(36, true), 0xfee00000);
  assert.equal(view(madt).getUint32(40, true), 1, "PCAT_COMPAT");
  assert.deepEqual([...madt.subarray(44)], [0, 8, 0, 0, 1, 0, 0, 0, 0, 8, 1, 2, 1, 0, 0, 0, 0, 8, 2, 4, 0, 0, 0, 0]);
  const info = tables.writes.find(({ address }) => address === ACPI_INFO_ADDRESS)!.bytes;
  const madtAddress = tables.writes.find(({ bytes }) => bytes === madt)!.address;
  assert.equal(info[0], 0);
  assert.equal(view(info).getUint16(2, true), 3);
  assert.equal(view(info).getUint32(12, true), madtAddress + 9);
  assert.equal(view(info).getUint32(16, true), madtAddress + 44);
});

test("acpi: 128 processors fit into the 16 pages that libxl allows", () => {
  const tables = acpiTables({ online: 128, maximum: 128 }, "high");
  walk(tables);
  assert.ok(tables.bytes <= 18 * 4096, `${tables.bytes} bytes`);
});

test("aml: lengths take one, two or three bytes, and count themselves", () => {
  const scope = (bytes: number): readonly number[] =>
    aml.rootScope(
      "_SB_",
      Array.from({ length: bytes }, () => 0xa3),
    );
  // The body is the root character, the name and the contents: five bytes more.
  assert.deepEqual(scope(57).slice(0, 3), [0x10, 63, 0x5c]);
  assert.deepEqual(scope(58).slice(0, 4), [0x10, 0x40 | (65 & 15), 65 >> 4, 0x5c]);
  const long = scope(5000);
  const length = 5000 + 5 + 3;
  assert.deepEqual(long.slice(0, 5), [0x10, 0x80 | (length & 15), (length >> 4) & 0xff, length >> 12, 0x5c]);
  assert.equal(long.length, length + 1);
});

test("aml: integers in their shortest form", () => {
  assert.deepEqual(aml.integer(0), [0]);
  assert.deepEqual(aml.integer(1), [1]);
  assert.deepEqual(aml.integer(0xff), [0x0a, 0xff]);
  assert.deepEqual(aml.integer(0x100), [0x0b, 0, 1]);
  assert.deepEqual(aml.integer(0xfc000000), [0x0c, 0, 0, 0, 0xfc]);
  assert.deepEqual(aml.integer(2 ** 32), [0x0e, 0, 0, 0, 0, 1, 0, 0, 0]);
});

test("aml: fields of 64 bits and more take two bytes for their width", () => {
  const field = aml.field("REGN", ["WIDE", 64], ["", 3], ["BIT_", 1]);
  const units = [0x57, 0x49, 0x44, 0x45, 0x40, 4, 0, 3, 0x42, 0x49, 0x54, 0x5f, 1];
  assert.deepEqual(field, [0x5b, 0x81, 6 + units.length, 0x52, 0x45, 0x47, 0x4e, 1, ...units]);
});
