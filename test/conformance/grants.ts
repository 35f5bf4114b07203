/** How guests of several tests grant pages. */
import assert from "node:assert/strict";
import { grant_entry_v1, grant_entry_v2, GTF } from "../../src/abi/grant_table.ts";
import { XENMAPSPACE } from "../../src/abi/memory.ts";
import { domainId } from "../../src/abi/types.ts";
import type { Guest } from "./guest.ts";
import { Memory } from "./layout.ts";
import { addToPhysmap } from "./shared-info.ts";

/** Where guests put the first frame of their grant table. */
export const TABLE = 0x910;
/** The first reference that is nobody's. */
export const FIRST_REF = 8;
/** A page of a granter's. */
export const GRANTED = Memory.freeFrame + 0x10;

/** Puts the grant table into the guest's memory. */
export function mapTable(guest: Guest): void {
  assert.equal(addToPhysmap(guest, XENMAPSPACE.grant_table, 0, TABLE), 0);
}

/** Writes an entry of version 1. @param ref of the first frame. */
export function grant(guest: Guest, ref: number, to: number, frame: number, flags: number = GTF.permit_access): void {
  guest.place(grant_entry_v1, { flags, domid: domainId(to), frame }, TABLE * 4096 + ref * grant_entry_v1.sizeof);
}

/** Writes an entry of version 2. */
export function grantV2(guest: Guest, ref: number, entry: Partial<grant_entry_v2>): void {
  guest.place(grant_entry_v2, entry, TABLE * 4096 + ref * grant_entry_v2.sizeof);
}

/** The flags of an entry of version 1 as they are now. */
export function flagsOf(guest: Guest, ref: number): number {
  return guest.u32(TABLE * 4096 + ref * grant_entry_v1.sizeof) & 0xffff;
}
