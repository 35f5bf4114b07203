/** Guests that have the hypervisor keep vcpu_info, runstates and time in places of their choice. */
import assert from "node:assert/strict";
import { Errno } from "../../src/abi/errno.ts";
import { EVTCHNOP, evtchn_bind_ipi, evtchn_send } from "../../src/abi/event_channel.ts";
import { SCHEDOP, sched_poll } from "../../src/abi/sched.ts";
import { eventPort } from "../../src/abi/types.ts";
import * as abi from "../../src/abi/vcpu.ts";
import { HYPERVISOR, vcpu_info, vcpu_time_info, VMASST_CMD, VMASST_TYPE, XEN_PVCLOCK } from "../../src/abi/xen.ts";
import type { Guest } from "./guest.ts";
import { HIGH, Memory, Window } from "./layout.ts";
import { observes } from "./observes.ts";
import { mapSharedInfo, shared } from "./shared-info.ts";

const { RUNSTATE, VCPUOP } = abi;
const NUMBER = HYPERVISOR.vcpu_op;
const MILLISECOND = 1_000_000;
const NOWHERE = [BigInt(Memory.hole), 1n << 32n, 1n << 51n, 0xfffe_ffff_ffff_f000n, 0xfee00000n];
const twoVcpus = { vcpus: 2 } as const;

function register(guest: Guest, command: number, addr: bigint, vcpu = 0): number {
  return guest.call(NUMBER, command, vcpu, guest.place(abi.vcpu_register_runstate_memory_area, { addr }));
}
function registerInfo(guest: Guest, mfn: bigint, offset: number, vcpu = 0): number {
  return guest.call(NUMBER, VCPUOP.register_vcpu_info, vcpu, guest.place(abi.vcpu_register_vcpu_info, { mfn, offset }));
}
function sleep(guest: Guest, time: number): void {
  const timeout = BigInt(guest.time() + time);
  assert.equal(guest.op(HYPERVISOR.sched_op, SCHEDOP.poll, sched_poll, { timeout }).result, 0);
}
/** An address as the guest's code would have it: beyond 4 GiB where that can be. */
const far = (guest: Guest, address: number): bigint => (guest.bits === 64 ? HIGH : 0n) + BigInt(address);

/** The time now, from a record of the guest's and its time-stamp counter. Xen: version_update_begin() and _end(). */
function timeFrom(guest: Guest, at: number): { time: number; tsc: number } {
  const record = guest.read(vcpu_time_info, at);
  assert.equal(record.version % 2, 0);
  assert.ok(record.version > 0);
  assert.equal(record.flags & XEN_PVCLOCK.TSC_STABLE_BIT, XEN_PVCLOCK.TSC_STABLE_BIT);
  const tsc = guest.time();
  const ticks = BigInt(tsc) - record.tsc_timestamp;
  const shifted = record.tsc_shift >= 0 ? ticks << BigInt(record.tsc_shift) : ticks >> BigInt(-record.tsc_shift);
  return { tsc, time: Number(record.system_time + ((shifted * BigInt(record.tsc_to_system_mul)) >> 32n)) };
}

observes("vcpu_op.register_vcpu_info", "events and time are in the new place", (guest) => {
  mapSharedInfo(guest);
  const { port } = guest.op(HYPERVISOR.event_channel_op, EVTCHNOP.bind_ipi, evtchn_bind_ipi, {}).out;
  const frame = BigInt(Memory.freeFrame);
  const at = Memory.freeFrame * 4096 + 64;
  assert.equal(registerInfo(guest, frame, 64), 0);
  const first = guest.read(vcpu_info, at);
  assert.equal(first.evtchn_upcall_pending, 1, "nothing that came in between is lost");
  assert.equal(first.evtchn_pending_sel, (1n << BigInt(guest.bits)) - 1n);
  const { time, tsc } = timeFrom(guest, at + guest.layout(vcpu_info).offsets.time);
  assert.equal(time, tsc);
  guest.place(vcpu_info, {}, at);
  shared(guest).clear(port);
  const op = { port: eventPort(port) };
  assert.equal(guest.op(HYPERVISOR.event_channel_op, EVTCHNOP.send, evtchn_send, op).result, 0);
  assert.equal(guest.u8(at), 1);
  assert.equal(shared(guest).upcall(0), 0, "the old place is not used any more");
  assert.equal(registerInfo(guest, frame, 128), -Errno.EBUSY);
});

observes(
  "vcpu_op.register_vcpu_info",
  "in one page of RAM, aligned",
  (guest) => {
    const frame = BigInt(Memory.freeFrame);
    for (const address of NOWHERE) assert.equal(registerInfo(guest, address >> 12n, 0), -Errno.EINVAL, `${address}`);
    for (const offset of [4096 - 56, 4088]) assert.equal(registerInfo(guest, frame, offset), -Errno.ENXIO, `${offset}`);
    for (const offset of [1, 2, 67]) assert.equal(registerInfo(guest, frame, offset), -Errno.ENXIO, `${offset}`);
    for (const offset of [4096, 0x80000000, 0xfffffff8]) {
      assert.equal(registerInfo(guest, frame, offset), -Errno.EINVAL, `${offset}`);
    }
    assert.equal(registerInfo(guest, frame, 0, 2), -Errno.ENOENT);
    assert.equal(registerInfo(guest, frame, 0, 1), 0, "of a vCPU that has not been started");
    assert.equal(guest.u8(Memory.freeFrame * 4096), 1);
    assert.equal(registerInfo(guest, frame, 4096 - 64), 0);
  },
  twoVcpus,
);

observes("vcpu_op.register_runstate_memory_area", "it says what the vCPU has been doing", (guest) => {
  mapSharedInfo(guest);
  const at = guest.place(abi.vcpu_runstate_info, {});
  assert.equal(register(guest, VCPUOP.register_runstate_memory_area, far(guest, at)), 0);
  assert.equal(guest.load(at), RUNSTATE.running);
  const before = guest.read(abi.vcpu_runstate_info, at).time[RUNSTATE.blocked] ?? 0n;
  sleep(guest, 20 * MILLISECOND);
  const { time, state, state_entry_time } = guest.read(abi.vcpu_runstate_info, at);
  assert.equal(Math.round(Number((time[RUNSTATE.blocked] ?? 0n) - before) / MILLISECOND), 20);
  assert.equal(state, RUNSTATE.offline, "what the guest never sees: it is suspended while the test looks");
  assert.equal(guest.load(at), RUNSTATE.running);
  assert.ok(state_entry_time <= BigInt(guest.time()));
});

observes(
  "vcpu_op.register_runstate_memory_area",
  "of another vCPU, of none, and where nothing is",
  (guest) => {
    mapSharedInfo(guest);
    const at = guest.place(abi.vcpu_runstate_info, { state: 77 });
    assert.equal(register(guest, VCPUOP.register_runstate_memory_area, BigInt(at), 1), 0);
    assert.equal(guest.read(abi.vcpu_runstate_info, at).state, RUNSTATE.offline);
    const own = guest.place(abi.vcpu_runstate_info, {});
    assert.equal(register(guest, VCPUOP.register_runstate_memory_area, BigInt(own)), 0);
    assert.equal(register(guest, VCPUOP.register_runstate_memory_area, 0n), 0);
    guest.place(abi.vcpu_runstate_info, { state: 77 }, own);
    sleep(guest, MILLISECOND);
    assert.equal(guest.read(abi.vcpu_runstate_info, own).state, 77, "it is let alone");
    for (const address of [Window.absent, Window.hole, Window.readOnly, Window.absent - 4]) {
      assert.equal(register(guest, VCPUOP.register_runstate_memory_area, BigInt(address)), 0);
      sleep(guest, MILLISECOND);
    }
    assert.equal(register(guest, VCPUOP.register_runstate_memory_area, BigInt(own), 2), -Errno.ENOENT);
  },
  twoVcpus,
);

observes("vm_assist", "runstate areas say when they are being changed", (guest) => {
  const { enable, disable } = VMASST_CMD;
  const flag = VMASST_TYPE.runstate_update_flag;
  mapSharedInfo(guest);
  // The area ends in a page that nothing maps: only what is written first arrives, the marked entry time.
  const entryAt = guest.layout(abi.vcpu_runstate_info).offsets.state_entry_time;
  const linear = Window.absent - entryAt - 8;
  const physical = Memory.windowFrames + (linear - Window.second);
  assert.equal(guest.call(HYPERVISOR.vm_assist, enable, flag), 0);
  assert.equal(register(guest, VCPUOP.register_runstate_memory_area, BigInt(linear)), 0);
  sleep(guest, MILLISECOND);
  const marked = guest.u64(physical + entryAt);
  assert.equal(marked >> 63n, 0n, "the mark is gone afterwards");
  assert.ok(marked > 0n);
  assert.equal(guest.call(HYPERVISOR.vm_assist, disable, flag), 0);
  assert.equal(guest.call(HYPERVISOR.vm_assist, 2, flag), -Errno.ENOSYS);
  assert.equal(guest.call(HYPERVISOR.vm_assist, 0xffffffff, flag), -Errno.ENOSYS);
  for (const type of [VMASST_TYPE.writable_pagetables, VMASST_TYPE.m2p_strict, 63, 64, 0xffffffff]) {
    assert.equal(guest.call(HYPERVISOR.vm_assist, enable, type), -Errno.EINVAL, `${type}`);
  }
});

observes("vcpu_op.register_runstate_phys_area", "as the other, by guest-physical address", (guest) => {
  mapSharedInfo(guest);
  const at = Memory.freeFrame * 4096 + 0x100;
  assert.equal(register(guest, VCPUOP.register_runstate_phys_area, BigInt(at)), 0);
  const before = guest.read(abi.vcpu_runstate_info, at).time[RUNSTATE.blocked] ?? 0n;
  sleep(guest, 20 * MILLISECOND);
  const { time } = guest.read(abi.vcpu_runstate_info, at);
  assert.equal(guest.load(at), RUNSTATE.running);
  assert.equal(Math.round(Number((time[RUNSTATE.blocked] ?? 0n) - before) / MILLISECOND), 20);
  assert.equal(register(guest, VCPUOP.register_runstate_phys_area, 0xffff_ffff_ffff_ffffn), 0);
  guest.place(abi.vcpu_runstate_info, { state: 77 }, at);
  sleep(guest, MILLISECOND);
  assert.equal(guest.read(abi.vcpu_runstate_info, at).state, 77, "it is let alone");
});

observes("vcpu_op.register_vcpu_time_memory_area", "time-stamps can be turned into time", (guest) => {
  const at = guest.place(vcpu_time_info, {});
  assert.equal(register(guest, VCPUOP.register_vcpu_time_memory_area, far(guest, at)), 0);
  const before = timeFrom(guest, at);
  assert.equal(before.time, before.tsc);
  // IA32_TSC_ADJUST moves the counter, not the time.
  guest.mail("address", 0x3b);
  guest.mail("value", 5_000_000_000);
  guest.run("write_msr");
  const { time, tsc } = timeFrom(guest, at);
  assert.equal(tsc - time, 5_000_000_000);
  assert.ok(time > before.time && time < before.time + MILLISECOND);
  assert.equal(register(guest, VCPUOP.register_vcpu_time_memory_area, 0n), 0);
  guest.place(vcpu_time_info, { version: 77 }, at);
  guest.mail("value", 0);
  guest.run("write_msr");
  assert.equal(guest.read(vcpu_time_info, at).version, 77, "it is let alone");
});

observes("vcpu_op.register_vcpu_time_phys_area", "as the other, by guest-physical address", (guest) => {
  const at = Memory.freeFrame * 4096 + 4096 - 32;
  assert.equal(register(guest, VCPUOP.register_vcpu_time_phys_area, BigInt(at)), 0);
  const { time, tsc } = timeFrom(guest, at);
  assert.equal(time, tsc);
});

for (const operation of ["register_runstate_phys_area", "register_vcpu_time_phys_area"] as const) {
  observes(
    `vcpu_op.${operation}`,
    "in one page of RAM, aligned",
    (guest) => {
      const page = BigInt(Memory.freeFrame * 4096);
      for (const address of NOWHERE) assert.equal(register(guest, VCPUOP[operation], address), -Errno.EINVAL);
      for (const offset of [4095n, 4092n, 1n, 2n, 7n]) {
        assert.equal(register(guest, VCPUOP[operation], page + offset), -Errno.ENXIO, `${offset}`);
      }
      assert.equal(register(guest, VCPUOP[operation], page, 2), -Errno.ENOENT);
      assert.equal(register(guest, VCPUOP[operation], page, 1), 0);
    },
    twoVcpus,
  );
}
