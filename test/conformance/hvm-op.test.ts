/** Guests that read and set parameters, and choose how events interrupt them. */
import assert from "node:assert/strict";
import { Errno } from "../../src/abi/errno.ts";
import { EVTCHNOP, evtchn_bind_ipi, evtchn_send } from "../../src/abi/event_channel.ts";
import * as abi from "../../src/abi/hvm/hvm_op.ts";
import { HVM_PARAM } from "../../src/abi/hvm/params.ts";
import { domainId, eventPort } from "../../src/abi/types.ts";
import { DOMID, HYPERVISOR } from "../../src/abi/xen.ts";
import { SPECIAL_PAGE } from "../../src/hypervisor/p2m.ts";
import type { Guest } from "./guest.ts";
import { windowEntry } from "./kernel.ts";
import { Memory, Window } from "./layout.ts";
import { observes } from "./observes.ts";
import { mapSharedInfo, setParam, shared } from "./shared-info.ts";

const { HVMOP } = abi;
const NUMBER = HYPERVISOR.hvm_op;
const VECTOR = 0xf3;
const LAPIC_SPIV = 0xf0;

function get(guest: Guest, index: number, domid = DOMID.SELF) {
  return guest.op(NUMBER, HVMOP.get_param, abi.xen_hvm_param, { domid, index });
}
function set(guest: Guest, index: number, value: bigint, domid = DOMID.SELF): number {
  return guest.op(NUMBER, HVMOP.set_param, abi.xen_hvm_param, { domid, index, value }).result;
}
function sendToSelf(guest: Guest): number {
  const { port } = guest.op(HYPERVISOR.event_channel_op, EVTCHNOP.bind_ipi, evtchn_bind_ipi, {}).out;
  resend(guest, port);
  return port;
}
function resend(guest: Guest, port: number): void {
  const op = { port: eventPort(port) };
  assert.equal(guest.op(HYPERVISOR.event_channel_op, EVTCHNOP.send, evtchn_send, op).result, 0);
}

observes("hvm_op.set_param", "the callback vector interrupts as long as events wait", (guest) => {
  mapSharedInfo(guest);
  sendToSelf(guest);
  guest.run("open");
  assert.equal(guest.interrupts(VECTOR), 0);
  assert.equal(set(guest, HVM_PARAM.CALLBACK_IRQ, (2n << 56n) | BigInt(VECTOR)), 0);
  guest.mail("upcallFlag", shared(guest).upcallAt(0));
  guest.run("open");
  assert.equal(guest.interrupts(VECTOR), 1);
  guest.run("open");
  assert.equal(guest.interrupts(VECTOR), 1, "the handler has cleared the flag");
});

observes("hvm_op.set_param", "what is the toolstack's stays as it is", (guest) => {
  const before = guest.domain.param(HVM_PARAM.STORE_PFN);
  for (const index of [HVM_PARAM.STORE_PFN, HVM_PARAM.CONSOLE_PFN, HVM_PARAM.TRIPLE_FAULT_REASON, HVM_PARAM.IDENT_PT]) {
    assert.equal(set(guest, index, 5n), -Errno.EPERM, `${index}`);
  }
  assert.equal(guest.domain.param(HVM_PARAM.STORE_PFN), before);
  assert.equal(set(guest, HVM_PARAM.ALTP2M, 1n), -Errno.EEXIST);
  for (const index of [HVM_PARAM.PAE_ENABLED, HVM_PARAM.NESTEDHVM, HVM_PARAM.MEMORY_EVENT_CR3]) {
    assert.equal(set(guest, index, 5n), -Errno.EINVAL, `${index}`);
  }
  for (const index of [39, 40, 0x7fffffff, 0x80000000, 0xffffffff]) {
    assert.equal(set(guest, index, 5n), -Errno.EINVAL, `${index}`);
    assert.equal(get(guest, index).result, -Errno.EINVAL, `${index}`);
  }
  assert.equal(set(guest, HVM_PARAM.CALLBACK_IRQ, 5n, domainId(0)), -Errno.EPERM);
  assert.equal(set(guest, HVM_PARAM.CALLBACK_IRQ, 5n, domainId(77)), -Errno.ESRCH);
});

observes("hvm_op.set_param", "values that mean nothing are refused", (guest) => {
  for (const width of [0n, 4n, 8n]) assert.equal(set(guest, HVM_PARAM.X87_FIP_WIDTH, width), 0);
  for (const width of [1n, 2n, 16n, 1n << 32n]) assert.equal(set(guest, HVM_PARAM.X87_FIP_WIDTH, width), -Errno.EINVAL);
  assert.equal(get(guest, HVM_PARAM.X87_FIP_WIDTH).out.value, 8n);
  assert.equal(set(guest, HVM_PARAM.ACPI_IOPORTS_LOCATION, 1n), -Errno.ENODEV, "there is no ACPI timer to move");
});

observes("hvm_op.get_param", "where console and xenstore are", (guest) => {
  assert.equal(get(guest, HVM_PARAM.CONSOLE_PFN).out.value, BigInt(SPECIAL_PAGE.console));
  const { result, out } = get(guest, HVM_PARAM.STORE_PFN);
  assert.deepEqual([result, out.value], [0, BigInt(SPECIAL_PAGE.xenstore)]);
  guest.store(SPECIAL_PAGE.xenstore * 4096, 0x12345678);
  assert.equal(guest.u32(SPECIAL_PAGE.xenstore * 4096), 0x12345678, "and there is a page there");
  assert.equal(set(guest, HVM_PARAM.STORE_EVTCHN, (1n << 40n) | 3n), 0);
  assert.equal(get(guest, HVM_PARAM.STORE_EVTCHN).out.value, (1n << 40n) | 3n);
  assert.equal(get(guest, HVM_PARAM.STORE_PFN, guest.domain.id).result, 0, "by its own number, too");
  assert.equal(get(guest, HVM_PARAM.IDENT_PT).result, -Errno.EPERM);
  assert.equal(get(guest, HVM_PARAM.PAE_ENABLED).result, -Errno.EINVAL);
  assert.equal(get(guest, HVM_PARAM.STORE_PFN, domainId(0)).result, -Errno.EPERM);
  assert.equal(get(guest, HVM_PARAM.STORE_PFN, domainId(77)).result, -Errno.ESRCH);
  assert.equal(get(guest, HVM_PARAM.STORE_PFN, DOMID.IO).result, -Errno.ESRCH);
});

observes("hvm_op.flush_tlbs", "translations that the guest has changed are looked up anew", (guest) => {
  const entry = windowEntry(guest.bits, Window.first);
  guest.setU32(Memory.windowFrames, 0x11111111);
  guest.setU32(Memory.windowFrames + 0x1000, 0x22222222);
  assert.equal(guest.load(Window.first), 0x22222222);
  guest.setU32(entry, guest.u32(windowEntry(guest.bits, Window.second)));
  assert.equal(guest.call(NUMBER, HVMOP.flush_tlbs, 4), -Errno.EINVAL, "it has no argument");
  assert.equal(guest.call(NUMBER, HVMOP.flush_tlbs, 0), 0);
  assert.equal(guest.load(Window.first), 0x11111111);
});

observes("hvm_op.get_time", "system time, which goes on", (guest) => {
  const now = () => guest.op(NUMBER, HVMOP.get_time, abi.xen_hvm_get_time, {}).out.now;
  const before = guest.time();
  const first = now();
  const second = now();
  assert.ok(BigInt(before) <= first && first < second && second <= BigInt(guest.time()));
});

observes("hvm_op.get_mem_type", "memory or not", (guest) => {
  const type = (pfn: bigint, domid = DOMID.SELF) =>
    guest.op(NUMBER, HVMOP.get_mem_type, abi.xen_hvm_get_mem_type, { domid, pfn, mem_type: 77 });
  assert.equal(type(1n).out.mem_type, abi.HVMMEM.ram_rw);
  for (const pfn of [BigInt(Memory.hole / 4096), 0xfee00n, 1n << 20n, 1n << 52n, (1n << 64n) - 1n]) {
    const { out, result } = type(pfn);
    assert.deepEqual([result, out.mem_type], [0, abi.HVMMEM.mmio_dm], `${pfn}`);
  }
  assert.equal(type(1n, domainId(0)).result, -Errno.EPERM);
  assert.equal(type(1n, domainId(77)).result, -Errno.ESRCH);
});

observes(
  "hvm_op.set_evtchn_upcall_vector",
  "an event is an interrupt of the local APIC, once",
  (guest) => {
    const upcall = (vcpu: number, vector: number): number =>
      guest.op(NUMBER, HVMOP.set_evtchn_upcall_vector, abi.xen_hvm_evtchn_upcall_vector, { vcpu, vector }).result;
    mapSharedInfo(guest);
    setParam(guest, HVM_PARAM.CALLBACK_IRQ, 1n);
    guest.mail("endOfInterrupt", 1);
    guest.store(Memory.lapic + LAPIC_SPIV, 0x1ff);
    assert.equal(upcall(0, VECTOR), 0);
    const port = sendToSelf(guest);
    guest.run("open");
    assert.equal(guest.interrupts(VECTOR), 1);
    guest.run("open");
    assert.equal(guest.interrupts(VECTOR), 1, "an edge, though the flag is still set");
    shared(guest).clear(port);
    resend(guest, port);
    guest.run("open");
    assert.equal(guest.interrupts(VECTOR), 2);
    for (const vector of [0, 2, 0xf]) assert.equal(upcall(0, vector), -Errno.EINVAL, `${vector}`);
    for (const vcpu of [2, 0x80000000, 0xffffffff]) assert.equal(upcall(vcpu, VECTOR), -Errno.ENOENT, `${vcpu}`);
    assert.equal(upcall(1, 0x40), 0);
  },
  { vcpus: 2 },
);

observes("hvm_op.set_evtchn_upcall_vector", "what waits when it is set comes at once", (guest) => {
  mapSharedInfo(guest);
  guest.store(Memory.lapic + LAPIC_SPIV, 0x1ff);
  sendToSelf(guest);
  const op = { vcpu: 0, vector: 0x55 };
  assert.equal(guest.op(NUMBER, HVMOP.set_evtchn_upcall_vector, abi.xen_hvm_evtchn_upcall_vector, op).result, 0);
  guest.run("open");
  assert.equal(guest.interrupts(0x55), 1);
});
