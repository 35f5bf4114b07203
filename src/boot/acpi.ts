/**
 * The ACPI tables of a PVH domain: RSDP, RSDT, XSDT, FADT in revisions 5 and 1, FACS, MADT and DSDT, as Xen's toolstack
 * makes them without any device model. Xen: tools/libacpi/{build,static_tables,mk_dsdt}.c, tools/libs/light/libxl_x86_acpi.c;
 * ACPI specification 5.0, chapter 5.
 */

import { alignUp, u16, u32, u64, u8 } from "../bits/integers.ts";
import { aligned, array, bytes, struct } from "../bits/struct.ts";
import * as aml from "./aml.ts";
import { asciiBytes } from "./cpio.ts";

/** ACPI_INFO_PHYSICAL_ADDRESS: a page of variables that the DSDT reads. Xen: tools/libacpi/acpi2_0.h. */
export const ACPI_INFO_ADDRESS = 0xfc000000;
const TABLES_ADDRESS = ACPI_INFO_ADDRESS + 0x1000;
const PAGE_BYTES = 4096;
/** Where an operating system searches for the RSDP by itself, as libxl chooses it for old Linux. */
const LOW_RSDP_ADDRESS = 0xfffc0;

/** The LAPIC's page. */
const LAPIC_ADDRESS = 0xfee00000;
const SCI_INTERRUPT = 9;
const PM1A_EVENT_PORT = 0xb000;
const PM1A_CONTROL_PORT = 0xb004;
const GPE0_PORT = 0xafe0;
/** WBINVD, PROC_C1, PWR_BUTTON, SLP_BUTTON, FIX_RTC, TMR_VAL_EXT, USE_PLATFORM_CLOCK. ACPI §5.2.9, table 5-35. */
const FADT_FLAGS = 0x8175;
/** NO_VGA and NO_CMOS_RTC: and neither an 8042 nor legacy devices. ACPI §5.2.9.3. */
const IAPC_BOOT_ARCHITECTURE = 0x24;
/** Latencies that say there is no C2 and no C3 state. */
const NO_C_STATE = 0x0fff;

// ACPI's structures are packed: alignment 1 throughout.
const w = aligned(u16, 1);
const d = aligned(u32, 1);
const q = aligned(u64, 1);

const description_header = struct("description_header", 36, {
  signature: bytes(4),
  length: d,
  revision: u8,
  checksum: u8,
  oem_id: bytes(6),
  oem_table_id: bytes(8),
  oem_revision: d,
  creator_id: bytes(4),
  creator_revision: d,
});

const generic_address = struct("generic_address", 12, {
  address_space_id: u8,
  register_bit_width: u8,
  register_bit_offset: u8,
  access_size: u8,
  address: q,
});

const rsdp = struct("rsdp", 36, {
  signature: bytes(8),
  checksum: u8,
  oem_id: bytes(6),
  revision: u8,
  rsdt_address: d,
  length: d,
  xsdt_address: q,
  extended_checksum: u8,
  reserved: bytes(3),
});

const fadt = struct("fadt", 268, {
  header: description_header,
  firmware_ctrl: d,
  dsdt: d,
  int_model: u8,
  preferred_pm_profile: u8,
  sci_int: w,
  smi_cmd: d,
  acpi_enable: u8,
  acpi_disable: u8,
  s4bios_req: u8,
  pstate_cnt: u8,
  pm1a_evt_blk: d,
  pm1b_evt_blk: d,
  pm1a_cnt_blk: d,
  pm1b_cnt_blk: d,
  pm2_cnt_blk: d,
  pm_tmr_blk: d,
  gpe0_blk: d,
  gpe1_blk: d,
  pm1_evt_len: u8,
  pm1_cnt_len: u8,
  pm2_cnt_len: u8,
  pm_tmr_len: u8,
  gpe0_blk_len: u8,
  gpe1_blk_len: u8,
  gpe1_base: u8,
  cst_cnt: u8,
  p_lvl2_lat: w,
  p_lvl3_lat: w,
  flush_size: w,
  flush_stride: w,
  duty_offset: u8,
  duty_width: u8,
  day_alrm: u8,
  mon_alrm: u8,
  century: u8,
  iapc_boot_arch: w,
  reserved: u8,
  flags: d,
  reset_reg: generic_address,
  reset_value: u8,
  arm_boot_arch: w,
  minor_version: u8,
  x_firmware_ctrl: q,
  x_dsdt: q,
  x_pm1a_evt_blk: generic_address,
  x_pm1b_evt_blk: generic_address,
  x_pm1a_cnt_blk: generic_address,
  x_pm1b_cnt_blk: generic_address,
  x_pm2_cnt_blk: generic_address,
  x_pm_tmr_blk: generic_address,
  x_gpe0_blk: generic_address,
  x_gpe1_blk: generic_address,
  sleep_control_reg: generic_address,
  sleep_status_reg: generic_address,
});
/** The FADT of ACPI 1.0 ends before the reset register. */
const FADT_REVISION_1_BYTES = 116;

const facs = struct("facs", 64, {
  signature: bytes(4),
  length: d,
  hardware_signature: d,
  firmware_waking_vector: d,
  global_lock: d,
  flags: d,
  x_firmware_waking_vector: q,
  version: u8,
  reserved: bytes(31),
});

/** MADT entry type 0. APIC ids are even, so that each vCPU looks like a core. */
const processor_local_apic = struct("processor_local_apic", 8, {
  type: u8,
  length: u8,
  acpi_processor_id: u8,
  apic_id: u8,
  flags: d,
});

/** The page of variables. Xen: struct acpi_info in tools/libacpi/build.c. */
const acpi_info = struct("acpi_info", 40, {
  flags: u8,
  pad: u8,
  nr_cpus: u16,
  pci: array(u32, 2),
  madt_csum_addr: u32,
  madt_lapic0_addr: u32,
  vm_gid_addr: u32,
  pci_hi: array(u32, 4),
});

/** Memory to write and where. */
export interface PhysicalWrite {
  /** Guest-physical address. */
  readonly address: number;
  readonly bytes: Uint8Array;
}

/** A domain's ACPI tables in guest-physical memory. */
export interface AcpiTables {
  readonly writes: readonly PhysicalWrite[];
  readonly rsdpAddress: number;
  /** The range at {@link ACPI_INFO_ADDRESS} that the tables occupy, whole pages. */
  readonly bytes: number;
}

/** How many processors a domain has. */
export interface Processors {
  /** Running from the start. */
  readonly online: number;
  /** Ever, 1 to 128. */
  readonly maximum: number;
}

/**
 * @param rsdp "high" puts the RSDP after the tables, where only start_info tells of it; "low" below 1 MiB.
 */
export function acpiTables(processors: Processors, rsdpPlace: "high" | "low"): AcpiTables {
  const writes: PhysicalWrite[] = [];
  let next = TABLES_ADDRESS;
  /** A FACS must lie at a multiple of 64; for the others it does no harm. */
  const place = (table: Uint8Array): number => {
    const address = next;
    writes.push({ address, bytes: table });
    next = alignUp(address + table.length, 64);
    return address;
  };
  const facsAddress = place(facs.encode({ ...facs.zero(), signature: asciiBytes("FACS"), length: 64, version: 1 }));
  const dsdtAddress = place(withHeader("DSDT", 5, dsdt(processors.maximum)));
  const madtTable = withHeader("APIC", 2, madtBody(processors));
  const madtAddress = place(madtTable);
  const fixed = fixedDescription(facsAddress, dsdtAddress);
  const fadtAddress = place(withHeader("FACP", 5, fixed.subarray(description_header.sizeof)));
  const fadt1Address = place(withHeader("FACP", 1, fixed.subarray(description_header.sizeof, FADT_REVISION_1_BYTES)));
  const xsdtAddress = place(withHeader("XSDT", 1, array(q, 2), [BigInt(fadtAddress), BigInt(madtAddress)]));
  const rsdtAddress = place(withHeader("RSDT", 1, array(d, 2), [fadt1Address, madtAddress]));

  const rsdpAddress = rsdpPlace === "high" ? alignUp(next, PAGE_BYTES) : LOW_RSDP_ADDRESS;
  writes.push({ address: rsdpAddress, bytes: rootPointer(rsdtAddress, xsdtAddress) });
  const info = acpi_info.encode({
    ...acpi_info.zero(),
    nr_cpus: processors.maximum,
    madt_csum_addr: madtAddress + description_header.offsets.checksum,
    madt_lapic0_addr: madtAddress + description_header.sizeof + 8,
  });
  writes.push({ address: ACPI_INFO_ADDRESS, bytes: info });
  const end = rsdpPlace === "high" ? rsdpAddress + PAGE_BYTES : alignUp(next, PAGE_BYTES);
  return { writes, rsdpAddress, bytes: end - ACPI_INFO_ADDRESS };
}

/** A table: the common header with its checksum, then `body`, bytes or a member with its value. */
function withHeader(signature: string, revision: number, body: Uint8Array): Uint8Array;
function withHeader<T>(signature: string, revision: number, body: ReturnType<typeof array<T>>, value: T[]): Uint8Array;
function withHeader<T>(
  signature: string,
  revision: number,
  body: Uint8Array | ReturnType<typeof array<T>>,
  value: T[] = [],
): Uint8Array {
  const contents = body instanceof Uint8Array ? body : new Uint8Array(body.sizeof);
  if (!(body instanceof Uint8Array)) body.set(new DataView(contents.buffer), 0, value);
  const table = new Uint8Array(description_header.sizeof + contents.length);
  description_header.write(table, 0, {
    signature: asciiBytes(signature),
    length: table.length,
    revision,
    checksum: 0,
    oem_id: asciiBytes("Xen"),
    oem_table_id: asciiBytes("HVM"),
    oem_revision: 0,
    creator_id: asciiBytes("HVML"),
    creator_revision: 0,
  });
  table.set(contents, description_header.sizeof);
  table[description_header.offsets.checksum] = checksum(table);
  return table;
}

/** The byte that makes the sum of all bytes zero. */
function checksum(table: Uint8Array): number {
  return -table.reduce((sum, byte) => sum + byte, 0) & 0xff;
}

function port(address: number, bits: number): ReturnType<typeof generic_address.zero> {
  return {
    address_space_id: 1,
    register_bit_width: bits,
    register_bit_offset: 0,
    access_size: 0,
    address: BigInt(address),
  };
}

function fixedDescription(facsAddress: number, dsdtAddress: number): Uint8Array {
  return fadt.encode({
    ...fadt.zero(),
    firmware_ctrl: facsAddress,
    dsdt: dsdtAddress,
    sci_int: SCI_INTERRUPT,
    pm1a_evt_blk: PM1A_EVENT_PORT,
    pm1a_cnt_blk: PM1A_CONTROL_PORT,
    gpe0_blk: GPE0_PORT,
    pm1_evt_len: 4,
    pm1_cnt_len: 2,
    gpe0_blk_len: 4,
    p_lvl2_lat: NO_C_STATE,
    p_lvl3_lat: NO_C_STATE,
    iapc_boot_arch: IAPC_BOOT_ARCHITECTURE,
    flags: FADT_FLAGS,
    // Present as Xen has it, though the flags do not say that it works.
    reset_reg: { ...port(0xcf9, 8), access_size: 1 },
    reset_value: 6,
    x_firmware_ctrl: BigInt(facsAddress),
    x_dsdt: BigInt(dsdtAddress),
    x_pm1a_evt_blk: port(PM1A_EVENT_PORT, 32),
    x_pm1a_cnt_blk: port(PM1A_CONTROL_PORT, 16),
    x_gpe0_blk: port(GPE0_PORT, 32),
  });
}

/** What follows the MADT's header: LAPIC address, PCAT_COMPAT, and an entry for each processor. No I/O APIC. */
function madtBody({ online, maximum }: Processors): Uint8Array {
  const body = new Uint8Array(8 + maximum * processor_local_apic.sizeof);
  new DataView(body.buffer).setUint32(0, LAPIC_ADDRESS, true);
  body[4] = 1;
  for (let i = 0; i < maximum; i++) {
    processor_local_apic.write(body, 8 + i * processor_local_apic.sizeof, {
      type: 0,
      length: processor_local_apic.sizeof,
      acpi_processor_id: i,
      apic_id: i * 2,
      flags: i < online ? 1 : 0,
    });
  }
  return body;
}

function rootPointer(rsdtAddress: number, xsdtAddress: number): Uint8Array {
  const table = rsdp.encode({
    signature: asciiBytes("RSD PTR "),
    checksum: 0,
    oem_id: asciiBytes("Xen"),
    revision: 2,
    rsdt_address: rsdtAddress,
    length: rsdp.sizeof,
    xsdt_address: BigInt(xsdtAddress),
    extended_checksum: 0,
    reserved: new Uint8Array(3),
  });
  // The first covers the 20 bytes of ACPI 1.0, the second everything.
  table[rsdp.offsets.checksum] = checksum(table.subarray(0, 20));
  table[rsdp.offsets.extended_checksum] = checksum(table);
  return table;
}

/**
 * The processors, as devices whose state is their MADT entry: `_MAT` returns it and `_STA` its enabled bit, which a
 * toolstack changes when it plugs a vCPU in. `_HID` names a processor device (ACPI §8.4).
 */
function dsdt(maximum: number): Uint8Array {
  const variables = [
    aml.memoryRegion("BIOS", aml.integer(ACPI_INFO_ADDRESS), acpi_info.sizeof),
    aml.field(
      "BIOS",
      ["UAR1", 1],
      ["UAR2", 1],
      ["LTP1", 1],
      ["HPET", 1],
      ["", 12],
      ["NCPU", 16],
      ["PMIN", 32],
      ["PLEN", 32],
      ["MSUA", 32],
      ["MAPA", 32],
      ["VGIA", 32],
      ["LMIN", 32],
      ["HMIN", 32],
      ["LLEN", 32],
      ["HLEN", 32],
    ),
  ];
  const entryOf = aml.method(
    "PMAT",
    2,
    aml.when(aml.less(aml.argument(0), aml.reference("NCPU")), aml.returns(aml.toBuffer(aml.argument(1)))),
    aml.returns(aml.buffer([0, 8, 0xff, 0xff, 0, 0, 0, 0])),
  );
  const processors = Array.from({ length: maximum }, (_, i) =>
    aml.device(
      `PR${i.toString(16).toUpperCase().padStart(2, "0")}`,
      aml.named("_HID", aml.string("ACPI0007")),
      aml.named("_UID", aml.integer(i)),
      aml.memoryRegion("MATR", aml.add(aml.reference("MAPA"), aml.integer(i * processor_local_apic.sizeof)), 8),
      aml.field("MATR", ["MAT_", 64]),
      aml.field("MATR", ["", 32], ["FLG_", 1]),
      aml.method("_MAT", 0, aml.returns(aml.reference("PMAT", aml.integer(i), aml.reference("MAT_")))),
      aml.method(
        "_STA",
        0,
        aml.when(aml.reference("FLG_"), aml.returns(aml.integer(0xf))),
        aml.returns(aml.integer(0)),
      ),
      aml.method("_EJ0", 1, aml.sleep(200)),
    ),
  );
  return Uint8Array.from(aml.rootScope("_SB_", ...variables, entryOf, ...processors));
}
