/** The tables that the conformance guests' processors read: page tables, interrupt table, task state. */
import { Memory, Window, windowPages } from "./layout.ts";

const PAGE = 4096;
/** Present, writable, user; and a large page. Intel SDM Vol. 3A, "Paging". */
const TABLE = 0x7;
const LARGE = 0x87;
const MIB = 1 << 20;

function pageEntry(physical: number, writable: boolean): number {
  return physical | (writable ? 0x7 : 0x5);
}

/**
 * Maps what {@link Memory} and {@link Window} say. 32-bit: a directory and the window's table. 64-bit: level 4, level 3,
 * directories of the first, second and fourth GiB, and the window's table, in this order.
 */
export function pageTables(bits: 32 | 64): Uint8Array {
  const root = Memory.pageTables;
  if (bits === 32) {
    const bytes = new Uint8Array(2 * PAGE);
    const view = new DataView(bytes.buffer);
    for (let at = 0; at < Memory.mapped; at += 4 * MIB) view.setUint32((at / (4 * MIB)) * 4, at | LARGE, true);
    const device = Math.floor(Memory.lapic / (4 * MIB));
    view.setUint32(device * 4, (device * 4 * MIB) | LARGE, true);
    // The special pages, the console's and xenstore's, are in the large page of the local APIC.
    view.setUint32((Window.base / (4 * MIB)) * 4, (root + PAGE) | TABLE, true);
    for (const [linear, physical, writable] of windowPages) {
      view.setUint32(PAGE + ((linear - Window.base) / PAGE) * 4, pageEntry(physical, writable), true);
    }
    return bytes;
  }
  const bytes = new Uint8Array(6 * PAGE);
  const view = new DataView(bytes.buffer);
  const set = (table: number, index: number, value: number): void =>
    view.setBigUint64(table * PAGE + index * 8, BigInt(value), true);
  set(0, 0, (root + PAGE) | TABLE);
  set(0, 256, (root + PAGE) | TABLE);
  set(1, 0, (root + 2 * PAGE) | TABLE);
  set(1, 1, (root + 3 * PAGE) | TABLE);
  set(1, 3, (root + 4 * PAGE) | TABLE);
  for (let at = 0; at < Memory.mapped; at += 2 * MIB) set(2, at / (2 * MIB), at | LARGE);
  set(3, 0, (root + 5 * PAGE) | TABLE);
  const device = Math.floor(Memory.lapic / (2 * MIB));
  set(4, device % 512, device * 2 * MIB + LARGE);
  for (const [linear, physical, writable] of windowPages) {
    set(5, (linear - Window.base) / PAGE, pageEntry(physical, writable));
  }
  return bytes;
}

/**
 * An interrupt gate for each vector; user mode may raise one of them.
 * @param handler The address of a vector's handler.
 */
export function interruptTable(
  bits: 32 | 64,
  handler: (vector: number) => number,
  selector: number,
  forUser: number,
): Uint8Array {
  const size = bits === 64 ? 16 : 8;
  const bytes = new Uint8Array(256 * size);
  const view = new DataView(bytes.buffer);
  for (let vector = 0; vector < 256; vector++) {
    const at = handler(vector);
    view.setUint16(vector * size, at & 0xffff, true);
    view.setUint16(vector * size + 2, selector, true);
    view.setUint16(vector * size + 4, vector === forUser ? 0xee00 : 0x8e00, true);
    view.setUint16(vector * size + 6, at >>> 16, true);
  }
  return bytes;
}

/** A task state segment with the stack for interrupts of user mode. Intel SDM Vol. 3A, "Task-State Segment (TSS)". */
export function taskState(bits: 32 | 64, stack: number, selector: number): Uint8Array {
  const bytes = new Uint8Array(0x68);
  const view = new DataView(bytes.buffer);
  view.setUint32(4, stack, true);
  if (bits === 32) view.setUint32(8, selector, true);
  view.setUint16(0x66, 0x68, true);
  return bytes;
}
