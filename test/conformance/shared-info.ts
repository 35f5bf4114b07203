/** What guests see of shared_info, and how they put it into their memory. */
import assert from "node:assert/strict";
import { HVMOP, xen_hvm_param } from "../../src/abi/hvm/hvm_op.ts";
import { HVM_PARAM } from "../../src/abi/hvm/params.ts";
import { XENMAPSPACE, XENMEM, xen_add_to_physmap } from "../../src/abi/memory.ts";
import { DOMID, HYPERVISOR, shared_info, vcpu_info } from "../../src/abi/xen.ts";
import type { Guest } from "./guest.ts";
import { Memory } from "./layout.ts";

/** Where {@link mapSharedInfo} puts it. */
export const SHARED_INFO_FRAME = Memory.freeFrame + 0x80;

/** Sets one of the domain's parameters. */
export function setParam(guest: Guest, index: number, value: bigint): void {
  const op = { domid: DOMID.SELF, index, value };
  assert.equal(guest.op(HYPERVISOR.hvm_op, HVMOP.set_param, xen_hvm_param, op).result, 0);
}

/** XENMEM_add_to_physmap for one page. @returns the hypercall's result. */
export function addToPhysmap(guest: Guest, space: number, index: number | bigint, gfn: number | bigint): number {
  const op = { domid: DOMID.SELF, space, idx: BigInt(index), gpfn: BigInt(gfn) };
  return guest.op(HYPERVISOR.memory_op, XENMEM.add_to_physmap, xen_add_to_physmap, op).result;
}

/** Puts shared_info into the guest's memory, in the layout of its code. */
export function mapSharedInfo(guest: Guest): void {
  // An interrupt line that does not exist: that the callback is set makes the layout that of the caller's mode.
  setParam(guest, HVM_PARAM.CALLBACK_IRQ, 1n);
  assert.equal(addToPhysmap(guest, XENMAPSPACE.shared_info, 0, SHARED_INFO_FRAME), 0);
}

/** The 2-level ABI's words of a guest that has mapped shared_info, as it reads and writes them. */
export function shared(guest: Guest) {
  const base = SHARED_INFO_FRAME * 4096;
  const { offsets } = guest.layout(shared_info);
  const info = guest.layout(vcpu_info);
  const word = (array: number, port: number): number => base + array + (port >>> 5) * 4;
  const bit = (at: number, port: number): boolean => ((guest.u32(at) >>> (port & 31)) & 1) === 1;
  return {
    base,
    isPending: (port: number): boolean => bit(word(offsets.evtchn_pending, port), port),
    isMasked: (port: number): boolean => bit(word(offsets.evtchn_mask, port), port),
    /** Forgets an event, as a handler does: the port, what led to it, and the upcall flag. */
    clear(port: number): void {
      const at = word(offsets.evtchn_pending, port);
      guest.setU32(at, guest.u32(at) & ~(1 << (port & 31)));
      guest.write(base + info.offsets.evtchn_pending_sel, new Uint8Array(guest.bits / 8));
      guest.write(base, Uint8Array.of(0));
    },
    mask(port: number): void {
      const at = word(offsets.evtchn_mask, port);
      guest.setU32(at, guest.u32(at) | (1 << (port & 31)));
    },
    /** Whether a vCPU's selector has the bit for the port's word. */
    isSelected(vcpu: number, port: number): boolean {
      const group = Math.floor(port / guest.bits);
      return bit(base + vcpu * info.sizeof + info.offsets.evtchn_pending_sel + (group >>> 5) * 4, group);
    },
    upcallAt: (vcpu: number): number => base + vcpu * info.sizeof,
    upcall: (vcpu: number): number => guest.u8(base + vcpu * info.sizeof),
  };
}
