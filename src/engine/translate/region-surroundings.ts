import type { ValueType } from "../../wasm/types.ts";
import type { Surroundings } from "../lower/lowering.ts";

/** What a region provides to the instructions in it. */
export interface RegionSurroundings extends Surroundings {
  /** The local of a register, by its slot. */
  register(base: number): number;
  /** A register's local has been written. */
  dirtied(base: number): void;
  /** The type of such a local. */
  localType(local: number): ValueType;
  /** RIP of byte 0 of the page that the instruction begins in: a local, and what to add to it. */
  readonly pageLocal: number;
  pageOffset(): number;
  /** Goes on at an offset from the region's base page. */
  goTo(offset: number): void;
  /** Goes on at the address in the i64 local {@link targetLocal}. */
  goToTarget(): void;
  readonly targetLocal: number;
  /** The local that holds an operand of the flags that are pending. */
  flagLocal(position: number, type: ValueType): number;
  /** Which translations are used may have changed. */
  reloadTlb(): void;
}
