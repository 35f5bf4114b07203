import { stateBytes } from "../x86/state.ts";

/**
 * Where things are in a domain's linear memory (design.md D5, engine.md §15): a private area of 128 MiB, then machine
 * frames. Byte addresses; everything below is the same in every domain, so that emitted code can name it. Only addresses
 * of vCPU state are not constants: they are offsets from the vCPU's base.
 */
const KiB = 1024;
const MiB = 1024 * KiB;

/** Offsets from a vCPU's base. */
export const VcpuLayout = {
  state: 0,
  /** TLB banks (engine.md §C): entries of 32 bytes. K: CPL 0 and the processor itself. KU: CPL 0 with AC. U: CPL 3. */
  kernelBank: 4 * KiB,
  kernelEntries: 2048,
  kernelUserBank: 68 * KiB,
  kernelUserEntries: 256,
  userBanks: 76 * KiB,
  userEntries: 512,
  userBankCount: 4,
  /** Translations for instruction fetch: entries of 16 bytes. */
  fetchTlb: 140 * KiB,
  fetchEntries: 1024,
  /** Records of instructions that cross a page, and of ones executed alone. */
  scratchRecords: 156 * KiB,
  /**
   * Jump caches (engine.md §D): entries of 16 bytes that lead from RIP to a region. One for the kernel's half of the address
   * space, one for each user bank.
   */
  kernelJumps: 160 * KiB,
  kernelJumpEntries: 4096,
  userJumps: 224 * KiB,
  userJumpEntries: 1024,
  /** A bit for each hash of a page that a jump cache leads into: INVLPG there empties them. */
  jumpPages: 288 * KiB,
  jumpPageBytes: 4 * KiB,
  bytes: 292 * KiB,
} as const;
if (stateBytes > VcpuLayout.kernelBank) throw new Error("the vCPU's state does not fit");

/** A TLB entry: read tag i64, write tag i64, addend i32. A tag is a page's linear address; −1 matches nothing. */
export const TlbEntry = { readTag: 0, writeTag: 8, addend: 16, bytes: 32, shift: 5 } as const;
/** A fetch TLB entry: tag i64 (page address | mode word), frame's byte address i32. */
export const FetchEntry = { tag: 0, frame: 8, bytes: 16 } as const;
/** A jump cache entry: RIP i64, slot of the function table i32, the region's entry number i32. */
export const JumpEntry = { rip: 0, slot: 8, entry: 12, bytes: 16, shift: 4 } as const;
/** A jump cache's index is RIP ⊕ RIP » this. */
export const jumpShift = 12;
/** An entry of the record hash: key i64 (byte address of the code | mode « 32), record's address i32. */
export const HashEntry = { key: 0, record: 8, bytes: 16 } as const;

export const maximumVcpus = 32;

export const DomainLayout = {
  /** The first page is left empty: address 0 means "none", and fetches from nowhere read its zeros. */
  /** i32: another party wrote to a frame that has code. */
  staleCode: 4096,
  /** i32: 1 while a vCPU exchanges 16 bytes under LOCK. On a cache line of its own. */
  wideExchange: 4096 + 64,
  vcpus: 64 * KiB,
  /** Guest frames below this many are in the p2m: 4 GiB. */
  p2mFrames: 1 << 20,
  /** One u32 a guest frame: byte address of the machine frame | P2mType. */
  p2m: 10 * MiB,
  /** One byte a machine frame: 1 when instructions in it have been decoded. */
  codeFrames: 14 * MiB,
  recordHash: 15 * MiB,
  hashEntries: 1 << 18,
  /** One u64 a slot of the function table: how often its form was called, where that is counted. */
  formCounts: 19 * MiB,
  /** Allocated upward; when full, everything decoded is forgotten. */
  records: 20 * MiB,
  recordsEnd: 128 * MiB,
  privateBytes: 128 * MiB,
} as const;
if (DomainLayout.vcpus + maximumVcpus * VcpuLayout.bytes > DomainLayout.p2m) throw new Error("vCPUs do not fit");
if (DomainLayout.recordHash + DomainLayout.hashEntries * HashEntry.bytes > DomainLayout.formCounts)
  throw new Error("the hash does not fit");

export function vcpuBase(index: number): number {
  return DomainLayout.vcpus + index * VcpuLayout.bytes;
}
