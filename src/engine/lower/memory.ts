import type { Access, Statement, Value } from "../../ir/node.ts";
import { bitsOf } from "../../ir/types.ts";
import type { Type } from "../../ir/types.ts";
import type { Memory } from "../../wasm/opcodes.ts";
import { Vector } from "../../x86/exceptions.ts";
import { State } from "../../x86/state.ts";
import { DomainLayout, TlbEntry, VcpuLayout } from "../layout.ts";
import { AccessFlag, meetsCode, slowLoad, slowProbe, slowStore } from "../mmu/slow-access.ts";
import { loadInstructions, storeInstructions } from "./lowering.ts";
import type { Lowering } from "./lowering.ts";
import { wasmType } from "./operations.ts";

type Update = Statement & { kind: "update" };

function flagsOf(access: Access): number {
  return (access.system === true ? AccessFlag.system : 0) | (access.stack === true ? AccessFlag.stack : 0);
}

/** Keeps the linear address in an i64 local. */
function addressLocal(lower: Lowering, address: Value): number {
  const local = lower.temporary("i64");
  lower.emit(address);
  lower.code.set(local);
  return local;
}

/**
 * Looks an address up: leaves on the stack whether the access of `bytes` bytes hits. An access that crosses its page has
 * another page's tag at its last byte, and misses; one that has to be aligned and is not, has bits that no tag has.
 * @returns the local with the entry's address.
 */
function lookUp(lower: Lowering, address: number, bytes: number, access: Access, tag: number): number {
  const { code, around } = lower;
  const entry = lower.temporary("i32");
  code.get(address);
  code.i64(BigInt(12 - TlbEntry.shift));
  code.op("i64.shr_u");
  code.op("i32.wrap_i64");
  if (access.system === true) {
    code.i32((VcpuLayout.kernelEntries - 1) << TlbEntry.shift);
    code.op("i32.and");
    code.get(around.vcpu);
    code.op("i32.add");
    code.i32(VcpuLayout.kernelBank);
  } else {
    const fromState = (local: number | undefined, slot: number) => {
      if (local !== undefined) {
        code.get(local);
        return;
      }
      code.get(around.vcpu);
      code.memory("i32.load", slot);
    };
    fromState(around.tlb?.mask, State.tlbMask);
    code.op("i32.and");
    fromState(around.tlb?.bank, State.tlbBank);
  }
  code.op("i32.add");
  code.tee(entry);
  code.memory("i64.load", tag);
  code.get(address);
  if (access.aligned === true) code.i64(-4096n | 15n);
  else {
    if (bytes > 1) {
      code.i64(BigInt(bytes - 1));
      code.op("i64.add");
    }
    code.i64(-4096n);
  }
  code.op("i64.and");
  code.op("i64.eq");
  return entry;
}

/** Puts the linear-memory address of a hit on the stack. */
function hostAddress(lower: Lowering, address: number, entry: number): void {
  lower.code.get(address);
  lower.code.op("i32.wrap_i64");
  lower.code.get(entry);
  lower.code.memory("i32.load", TlbEntry.addend);
  lower.code.op("i32.add");
}

/** Of an access that has missed: whether that is why. */
function checkAlignment(lower: Lowering, address: number, access: Access): void {
  if (access.aligned !== true) return;
  const { code } = lower;
  code.get(address);
  code.op("i32.wrap_i64");
  code.i32(15);
  code.op("i32.and");
  code.hint(false);
  code.if();
  lower.fault(Vector.GP, () => code.i32(0));
  code.end();
}

/** Calls the slow path for `bytes` bytes at address + `offset`. */
function slowLoadOf(lower: Lowering, address: number, offset: number, bytes: number, flags: number): void {
  const { code } = lower;
  lower.callWith(slowLoad, () => {
    code.get(address);
    if (offset > 0) {
      code.i64(BigInt(offset));
      code.op("i64.add");
    }
    code.i32(bytes);
    code.i32(flags);
  });
}

/** Loads by the slow path, leaving a value of `type`. */
function slowLoadValue(lower: Lowering, type: Type, address: number, flags: number): void {
  const { code } = lower;
  slowLoadOf(lower, address, 0, Math.min(bitsOf[type] / 8, 8), flags);
  if (type === "v128") {
    code.op("i64x2.splat");
    slowLoadOf(lower, address, 8, 8, flags);
    code.lane("i64x2.replace_lane", 1);
  } else if (type !== "i64") {
    code.op("i32.wrap_i64");
  }
}

/** Stores the value in `local` by the slow path. */
function slowStoreValue(lower: Lowering, type: Type, address: number, local: number, flags: number): void {
  const { code, around } = lower;
  if (type === "v128") slowProbeOf(lower, address, 16, flags);
  if (around.giveUp !== undefined) {
    lower.callWith(meetsCode, () => {
      code.get(address);
      code.i32(bitsOf[type] / 8);
      code.i32(flags);
    });
    code.if();
    around.giveUp();
    code.end();
  }
  for (let offset = 0; offset < (type === "v128" ? 16 : 1); offset += 8) {
    lower.callWith(slowStore, () => {
      code.get(address);
      if (offset > 0) {
        code.i64(BigInt(offset));
        code.op("i64.add");
      }
      code.get(local);
      if (type === "v128") code.lane("i64x2.extract_lane", offset / 8);
      else if (type !== "i64") code.op("i64.extend_i32_u");
      code.i32(Math.min(bitsOf[type] / 8, 8));
      code.i32(flags);
    });
  }
}

function slowProbeOf(lower: Lowering, address: number, bytes: number, flags: number): void {
  lower.callWith(slowProbe, () => {
    lower.code.get(address);
    lower.code.i32(bytes);
    lower.code.i32(flags);
  });
}

/** Loads of less than a vector, zero above; what is loaded, and how it becomes a vector where the slow path has it. */
const lowLoads = {
  4: ["i32", "v128.load32_zero", "i32x4.replace_lane"],
  8: ["i64", "v128.load64_zero", "i64x2.replace_lane"],
} as const;

/** A guest load, its value left on the stack. */
export function lowerLoad(lower: Lowering, type: Type, addressValue: Value, access: Access): void {
  const { code, around } = lower;
  const low = access.low === undefined ? undefined : lowLoads[access.low];
  const loaded = low === undefined ? type : low[0];
  const address = addressLocal(lower, addressValue);
  const entry = lookUp(lower, address, bitsOf[loaded] / 8, access, TlbEntry.readTag);
  code.hint(true);
  code.if(wasmType(type));
  hostAddress(lower, address, entry);
  code.memory(low === undefined ? loadInstructions[type] : low[1], 0);
  code.else();
  checkAlignment(lower, address, access);
  const slow = around.slow?.load(loaded, access);
  if (slow === undefined) slowLoadValue(lower, loaded, address, flagsOf(access));
  else {
    code.get(around.vcpu);
    code.get(address);
    code.call(slow);
    code.get(around.vcpu);
    code.memory("i32.load", State.slowStatus);
    code.hint(false);
    code.if();
    around.faulted!();
    code.end();
  }
  if (low !== undefined) {
    const part = lower.temporary(low[0]);
    code.set(part);
    code.v128(0n);
    code.get(part);
    code.lane(low[2], 0);
    lower.release(low[0], part);
  }
  code.end();
  lower.release("i32", entry);
  lower.release("i64", address);
}

/** Stores of less than a vector: what is stored, how, and what is stored where the slow path does it. */
const lowStores = {
  4: ["i32", "f32x4.extract_lane", "f32.store", "i32x4.extract_lane"],
  8: ["i64", "f64x2.extract_lane", "f64.store", "i64x2.extract_lane"],
} as const;

/** A guest store. */
export function lowerStore(lower: Lowering, addressValue: Value, value: Value, access: Access): void {
  const { code, around } = lower;
  const low = access.low === undefined ? undefined : lowStores[access.low];
  const type = low === undefined ? value.type : low[0];
  const address = addressLocal(lower, addressValue);
  const whole = lower.temporary(wasmType(value.type) as "i32");
  lower.emit(value);
  code.set(whole);
  const entry = lookUp(lower, address, bitsOf[type] / 8, access, TlbEntry.writeTag);
  code.hint(true);
  code.if();
  hostAddress(lower, address, entry);
  code.get(whole);
  if (low === undefined) code.memory(storeInstructions[type], 0);
  else {
    code.lane(low[1], 0);
    code.memory(low[2], 0);
  }
  code.else();
  checkAlignment(lower, address, access);
  let held = whole;
  if (low !== undefined) {
    held = lower.temporary(low[0]);
    code.get(whole);
    code.lane(low[3], 0);
    code.set(held);
  }
  const slow = around.slow?.store(type, access);
  if (slow === undefined) slowStoreValue(lower, type, address, held, flagsOf(access));
  else {
    const status = lower.temporary("i32");
    code.get(around.vcpu);
    code.get(address);
    code.get(held);
    code.call(slow);
    code.tee(status);
    code.hint(false);
    code.if();
    code.get(status);
    around.refused!();
    code.end();
    lower.release("i32", status);
  }
  code.end();
  if (low !== undefined) lower.release(low[0], held);
  lower.release("i32", entry);
  lower.release("i64", address);
  lower.release(wasmType(value.type) as "i32", whole);
}

/** Faults as a store would. */
export function lowerProbe(lower: Lowering, addressValue: Value, bytes: number, access: Access): void {
  const address = addressLocal(lower, addressValue);
  slowProbeOf(lower, address, bytes, flagsOf(access));
  lower.release("i64", address);
}

const exchange: Readonly<Partial<Record<Type, Memory>>> = {
  i8: "i32.atomic.rmw8.cmpxchg_u",
  i16: "i32.atomic.rmw16.cmpxchg_u",
  i32: "i32.atomic.rmw.cmpxchg",
  i64: "i64.atomic.rmw.cmpxchg",
};

/**
 * A read-modify-write. Where the page is writable memory, load and store go to one translated address; under LOCK a miss
 * is translated first, the store is a compare-and-exchange, and the body is computed again when it fails. Of 16 bytes there
 * is no such instruction: the domain's CMPXCHG16Bs take turns. Elsewhere (a miss, a page with code, MMIO, a misaligned
 * locked access) it is a slow load that checks for writing, and a slow store.
 */
export function lowerUpdate(lower: Lowering, { address: addressValue, before, body, after, lock }: Update): void {
  const { code, around } = lower;
  const { type } = before;
  const wasm = wasmType(type) as "i32";
  const bytes = bitsOf[type] / 8;
  const atomic = lock ? exchange[type] : undefined;
  const address = addressLocal(lower, addressValue);
  const host = lower.temporary("i32");
  const old = lower.local(wasm);
  const wide = lock && type === "v128";
  const translateWrite = () => {
    const entry = lookUp(lower, address, bytes, {}, TlbEntry.writeTag);
    code.hint(true);
    code.if("i32");
    hostAddress(lower, address, entry);
    code.else();
    code.i32(0);
    code.end();
    code.set(host);
    lower.release("i32", entry);
  };
  translateWrite();
  if (lock || around.giveUp !== undefined) {
    code.get(host);
    code.op("i32.eqz");
    code.hint(false);
    code.if();
    slowProbeOf(lower, address, bytes, 0);
    translateWrite();
    code.end();
  }
  if (atomic !== undefined && bytes > 1) {
    // A misaligned atomic traps: it takes the slow path.
    code.get(host);
    code.i32(0);
    code.get(host);
    code.i32(bytes - 1);
    code.op("i32.and");
    code.op("i32.eqz");
    code.op("select");
    code.set(host);
  }
  if (around.giveUp !== undefined) {
    code.get(host);
    code.op("i32.eqz");
    code.hint(false);
    code.if();
    around.giveUp();
    code.end();
  }
  code.get(host);
  code.if();
  if (wide) takeTurn(lower);
  code.get(host);
  code.memory(loadInstructions[type], 0);
  code.set(old);
  code.else();
  slowLoadValue(lower, type, address, AccessFlag.write);
  code.set(old);
  code.end();
  lower.bind(before, old);
  const again = atomic === undefined ? undefined : code.loop();
  lower.statements(body);
  const result = lower.temporary(wasm);
  lower.emit(after);
  code.set(result);
  code.get(host);
  code.if();
  code.get(host);
  if (atomic === undefined || again === undefined) {
    code.get(result);
    code.memory(storeInstructions[type], 0);
    if (wide) {
      code.i32(DomainLayout.wideExchange);
      code.i32(0);
      code.memory("i32.atomic.store", 0);
    }
  } else {
    const found = lower.temporary(wasm);
    code.get(old);
    code.get(result);
    code.memory(atomic, 0);
    code.tee(found);
    code.get(old);
    code.op(type === "i64" ? "i64.ne" : "i32.ne");
    code.if();
    code.get(found);
    code.set(old);
    code.br(again);
    code.end();
    lower.release(wasm, found);
  }
  code.else();
  slowStoreValue(lower, type, address, result, 0);
  code.end();
  if (again !== undefined) code.end();
  lower.release(wasm, result);
  lower.release("i32", host);
  lower.release("i64", address);
}

/** Waits until no other vCPU exchanges 16 bytes. Between here and the store nothing can leave the function. */
function takeTurn({ code }: Lowering): void {
  const again = code.loop();
  code.i32(DomainLayout.wideExchange);
  code.i32(0);
  code.i32(1);
  code.memory("i32.atomic.rmw.cmpxchg", 0);
  code.brIf(again);
  code.end();
}
