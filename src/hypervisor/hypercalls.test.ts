import assert from "node:assert/strict";
import test from "node:test";

import { Errno } from "../abi/errno.ts";
import { xen_hvm_evtchn_upcall_vector, xen_hvm_get_time, xen_hvm_param, HVMOP } from "../abi/hvm/hvm_op.ts";
import { HVM_PARAM } from "../abi/hvm/params.ts";
import { domainId } from "../abi/types.ts";
import * as vcpuAbi from "../abi/vcpu.ts";
import { xen_feature_info, XENVER } from "../abi/version.ts";
import { CONSOLEIO, DOMID, HYPERVISOR, multicall_entry, vcpu_info, vcpu_time_info, VMASST_CMD } from "../abi/xen.ts";
import { upcallPending, vcpuInfoAddress } from "./event-channels.ts";
import { Machine } from "./harness.ts";
import { DOMAIN } from "./heap.ts";
import { hypercalls } from "./hypercalls/index.ts";

const { VCPUOP } = vcpuAbi;
const { SELF } = DOMID;

function text(machine: Machine, address: number, length: number): string {
  const bytes = new Uint8Array(length);
  machine.memory.read(address, bytes);
  return String.fromCharCode(...bytes.subarray(0, bytes.indexOf(0)));
}

test("hypercall: numbers without a hypercall are -ENOSYS, user mode and real mode -EPERM", () => {
  const machine = new Machine();
  assert.equal(machine.call(HYPERVISOR.mmu_update, 0), -Errno.ENOSYS);
  assert.equal(machine.call(0xffffffff), -Errno.ENOSYS);
  machine.vcpu.cpl = 3;
  assert.equal(machine.call(HYPERVISOR.xen_version, XENVER.version), -Errno.EPERM);
  machine.vcpu.cpl = 0;
  machine.vcpu.codeSize = 16;
  assert.equal(machine.call(HYPERVISOR.xen_version, XENVER.version), -Errno.EPERM);
});

test("hypercall: every number and sub-operation survives every kind of bad pointer", () => {
  const machine = new Machine();
  const pointers = [0n, 1n, 0xfffffff8n, 0xfee00000n, (1n << 40n) - 1n, 1n << 63n, (1n << 64n) - 1n];
  for (const number of hypercalls.keys()) {
    // Lists of up to 2^32 calls, which all of the memory is walked for: below, with fewer of them.
    if (number === HYPERVISOR.multicall || number === HYPERVISOR.console_io) continue;
    for (let command = 0; command < 40; command++) {
      for (const pointer of pointers) {
        const result = machine.call(number, command, pointer, pointer, pointer);
        assert.ok(Number.isSafeInteger(result), `${number} ${command} ${pointer}`);
      }
    }
  }
});

test("hypercall: a result in 32-bit code is a 32-bit word", () => {
  const machine = new Machine();
  machine.vcpu.codeSize = 32;
  machine.call(HYPERVISOR.xen_version, 4711);
  assert.equal(machine.vcpu.gpr(0), BigInt(2 ** 32 - Errno.ENOSYS));
});

test("xen_version: says who it is", () => {
  const machine = new Machine();
  assert.equal(machine.call(HYPERVISOR.xen_version, XENVER.version), (4 << 16) | 20);
  assert.equal(machine.call(HYPERVISOR.xen_version, XENVER.extraversion, 0x8000), 0);
  assert.equal(text(machine, 0x8000, 16), ".0-xenolith");
  assert.equal(machine.call(HYPERVISOR.xen_version, XENVER.capabilities, 0x8000), 0);
  assert.match(text(machine, 0x8000, 1024), /^hvm-3\.0-x86_32 .*hvm-3\.0-x86_64 $/);
  assert.equal(machine.call(HYPERVISOR.xen_version, XENVER.pagesize), 4096);
  assert.equal(machine.call(HYPERVISOR.xen_version, XENVER.guest_handle, 0x8000), 0);
  assert.equal(machine.word(0x8004), 0x07060504);
  assert.equal(machine.call(HYPERVISOR.xen_version, XENVER.build_id, 0), -Errno.ENODATA);
  assert.equal(machine.call(HYPERVISOR.xen_version, XENVER.compile_info, 0xfff80), -Errno.EFAULT);
  machine.setWord(0x8000, 4);
  assert.equal(machine.call(HYPERVISOR.xen_version, XENVER.extraversion2, 0x8000), -Errno.ENOBUFS);
  assert.equal(machine.call(HYPERVISOR.xen_version, XENVER.extraversion2, 0), 11);
});

test("xen_version: the features are a PVH guest's, and there is one map of them", () => {
  const machine = new Machine();
  const ask = (submap_idx: number) =>
    machine.op(HYPERVISOR.xen_version, XENVER.get_features, xen_feature_info, { submap_idx });
  assert.equal(ask(0).out.submap, 0x000d2305);
  assert.equal(ask(1).result, -Errno.EINVAL);
});

test("hvm_op: a guest reads and sets what is its own to, and no more", () => {
  const machine = new Machine();
  const set = (index: number, domid = SELF, value = 5n): number =>
    machine.op(HYPERVISOR.hvm_op, HVMOP.set_param, xen_hvm_param, { domid, index, value }).result;
  const get = (index: number, domid = SELF) =>
    machine.op(HYPERVISOR.hvm_op, HVMOP.get_param, xen_hvm_param, { domid, index });
  assert.equal(get(HVM_PARAM.STORE_PFN).out.value, 0xfeffcn);
  assert.equal(get(HVM_PARAM.CONSOLE_PFN).out.value, 0xfefffn);
  assert.equal(set(HVM_PARAM.STORE_EVTCHN, SELF, (1n << 40n) | 3n), 0);
  assert.equal(get(HVM_PARAM.STORE_EVTCHN).out.value, (1n << 40n) | 3n);
  assert.equal(set(HVM_PARAM.STORE_PFN), -Errno.EPERM);
  assert.equal(set(HVM_PARAM.TRIPLE_FAULT_REASON), -Errno.EPERM);
  assert.equal(set(HVM_PARAM.PAE_ENABLED), -Errno.EINVAL);
  assert.equal(set(HVM_PARAM.ALTP2M), -Errno.EEXIST);
  assert.equal(set(39), -Errno.EINVAL);
  assert.equal(set(0xffffffff), -Errno.EINVAL);
  assert.equal(set(HVM_PARAM.CALLBACK_IRQ, domainId(0)), -Errno.EPERM);
  assert.equal(set(HVM_PARAM.CALLBACK_IRQ, domainId(99)), -Errno.ESRCH);
  assert.equal(get(HVM_PARAM.IDENT_PT).result, -Errno.EPERM);
});

test("hvm_op: an upcall vector makes events edges of the local APIC", () => {
  const machine = new Machine();
  const set = (vcpu: number, vector: number): number =>
    machine.op(HYPERVISOR.hvm_op, HVMOP.set_evtchn_upcall_vector, xen_hvm_evtchn_upcall_vector, { vcpu, vector })
      .result;
  assert.equal(set(0, 0x0f), -Errno.EINVAL);
  assert.equal(set(1, 0xf3), -Errno.ENOENT);
  assert.equal(set(0, 0xf3), 0);
  machine.cpu.lapic.write(0xf0, 4, 0x1ff);
  machine.cpu.markPending(0);
  assert.deepEqual(machine.cpu.pendingVector(), { vector: 0xf3, lapic: true });
  machine.cpu.lapic.acknowledge(0xf3);
  assert.ok(upcallPending(machine.domain, 0));
  assert.equal(machine.cpu.pendingVector(), undefined, "an edge comes once");
});

test("hvm_op: time is the domain's, and a layout latched by 32-bit code stays so", () => {
  const machine = new Machine();
  assert.equal(machine.op(HYPERVISOR.hvm_op, HVMOP.get_time, xen_hvm_get_time, {}).out.now, 0n);
  machine.now += 123;
  assert.equal(machine.op(HYPERVISOR.hvm_op, HVMOP.get_time, xen_hvm_get_time, {}).out.now, 123n);
  machine.vcpu.codeSize = 32;
  const value = { domid: SELF, index: HVM_PARAM.CALLBACK_IRQ, value: 1n };
  assert.equal(machine.op(HYPERVISOR.hvm_op, HVMOP.set_param, xen_hvm_param.compat, value).result, 0);
  assert.equal(machine.domain.get(DOMAIN.compat), 1);
});

test("vcpu_op: a vcpu_info moves once, with what was in it, and everything marked", () => {
  const machine = new Machine();
  const register = (value: Partial<vcpuAbi.vcpu_register_vcpu_info>): number => {
    machine.memory.write(0x8000, vcpuAbi.vcpu_register_vcpu_info.encode({ mfn: 0x50n, offset: 64, rsvd: 0, ...value }));
    return machine.call(HYPERVISOR.vcpu_op, VCPUOP.register_vcpu_info, 0, 0x8000);
  };
  assert.equal(register({ offset: 4096 - 32 }), -Errno.ENXIO);
  assert.equal(register({ offset: 65 }), -Errno.ENXIO);
  assert.equal(register({ mfn: 1n << 50n }), -Errno.EINVAL);
  assert.equal(register({}), 0);
  assert.equal(vcpuInfoAddress(machine.domain, 0), (machine.memory.findFrame(0x50) ?? 0) * 4096 + 64);
  assert.ok(upcallPending(machine.domain, 0));
  assert.equal(machine.word(0x50000 + 64 + vcpu_info.offsets.evtchn_pending_sel + 4), 0xffffffff);
  assert.equal(machine.word(0x50000 + 64 + vcpu_info.offsets.time + 24), 0x80000000);
  assert.equal(register({}), -Errno.EBUSY);
});

test("vcpu_op: areas are written where the guest wants them, and an unmapped one is skipped", () => {
  const machine = new Machine();
  const register = (command: number, addr: bigint): number => {
    machine.memory.write(0x8000, vcpuAbi.vcpu_register_runstate_memory_area.encode({ addr }));
    return machine.call(HYPERVISOR.vcpu_op, command, 0, 0x8000);
  };
  assert.equal(register(VCPUOP.register_vcpu_time_memory_area, 0x50010n), 0);
  const time = new Uint8Array(32);
  machine.memory.read(0x50010, time);
  assert.equal(vcpu_time_info.read(time).tsc_to_system_mul, 0x80000000);
  machine.setWord(0x51000, 0xffff);
  assert.equal(register(VCPUOP.register_runstate_memory_area, 0x51000n), 0);
  assert.equal(machine.word(0x51000), vcpuAbi.RUNSTATE.running);
  assert.equal(register(VCPUOP.register_runstate_memory_area, 1n << 45n), 0);
  assert.equal(register(VCPUOP.register_runstate_phys_area, 0x52000n), 0);
  assert.equal(register(VCPUOP.register_runstate_phys_area, 0x52ff0n), -Errno.ENXIO);
  assert.equal(register(VCPUOP.register_vcpu_time_phys_area, 1n << 51n), -Errno.EINVAL);
  assert.equal(register(VCPUOP.register_vcpu_time_phys_area, ~0n & 0xffffffffffffffffn), 0);
});

test("vcpu_op: other vCPUs and periods too short are refused", () => {
  const machine = new Machine({ vcpus: 2 });
  assert.equal(machine.call(HYPERVISOR.vcpu_op, VCPUOP.is_up, 0, 0), 1);
  assert.equal(machine.call(HYPERVISOR.vcpu_op, VCPUOP.is_up, 1, 0), 0);
  assert.equal(machine.call(HYPERVISOR.vcpu_op, VCPUOP.is_up, 2, 0), -Errno.ENOENT);
  assert.equal(machine.call(HYPERVISOR.vcpu_op, VCPUOP.stop_singleshot_timer, 1, 0), -Errno.EINVAL);
  assert.equal(machine.call(HYPERVISOR.vcpu_op, VCPUOP.initialise, 1, 0), -Errno.ENOSYS);
  machine.memory.write(0x8000, vcpuAbi.vcpu_set_periodic_timer.encode({ period_ns: 999_999n }));
  assert.equal(machine.call(HYPERVISOR.vcpu_op, VCPUOP.set_periodic_timer, 0, 0x8000), -Errno.EINVAL);
  machine.memory.write(0x8000, vcpuAbi.vcpu_set_periodic_timer.encode({ period_ns: 2_000_000n }));
  assert.equal(machine.call(HYPERVISOR.vcpu_op, VCPUOP.set_periodic_timer, 0, 0x8000), 0);
  assert.equal(machine.cpu.nextDeadline(), 2_000_000);
  assert.equal(machine.call(HYPERVISOR.vcpu_op, VCPUOP.stop_periodic_timer, 0, 0), 0);
  assert.equal(machine.cpu.nextDeadline(), Infinity);
});

test("vm_assist: only what means something to a translated guest", () => {
  const machine = new Machine();
  assert.equal(machine.call(HYPERVISOR.vm_assist, VMASST_CMD.enable, 5), 0);
  assert.equal(machine.domain.get(DOMAIN.vmAssist), 1 << 5);
  assert.equal(machine.call(HYPERVISOR.vm_assist, VMASST_CMD.disable, 5), 0);
  assert.equal(machine.domain.get(DOMAIN.vmAssist), 0);
  assert.equal(machine.call(HYPERVISOR.vm_assist, VMASST_CMD.enable, 0), -Errno.EINVAL);
  assert.equal(machine.call(HYPERVISOR.vm_assist, 2, 5), -Errno.ENOSYS);
});

test("set_timer_op: one absolute time, in two halves from 32-bit code", () => {
  const machine = new Machine();
  assert.equal(machine.call(HYPERVISOR.set_timer_op, 5_000_000), 0);
  assert.equal(machine.cpu.nextDeadline(), 5_000_000);
  machine.vcpu.codeSize = 32;
  assert.equal(machine.call(HYPERVISOR.set_timer_op, 7, 1), 0);
  assert.equal(machine.cpu.nextDeadline(), 2 ** 32 + 7);
  assert.equal(machine.call(HYPERVISOR.set_timer_op, 0, 0), 0);
  assert.equal(machine.cpu.nextDeadline(), Infinity);
});

test("console_io: bytes come out, however many, and reading is refused", () => {
  const machine = new Machine();
  const line = "x".repeat(5000);
  machine.memory.write(
    0x8000,
    Uint8Array.from(line, (letter) => letter.charCodeAt(0)),
  );
  assert.equal(machine.call(HYPERVISOR.console_io, CONSOLEIO.write, line.length, 0x8000), 0);
  assert.equal(machine.console, line);
  assert.equal(machine.call(HYPERVISOR.console_io, CONSOLEIO.read, 1, 0x8000), -Errno.EPERM);
  assert.equal(machine.call(HYPERVISOR.console_io, CONSOLEIO.write, 0xffffffff, 0xff000), -Errno.EFAULT);
});

test("multicall: each call has its own result, and long lists are finished", () => {
  const machine = new Machine();
  const count = 70;
  for (let i = 0; i < count; i++) {
    const op = BigInt(i % 2 === 0 ? HYPERVISOR.xen_version : HYPERVISOR.multicall);
    const entry = { op, result: 7n, args: [BigInt(XENVER.pagesize), 0n, 0n, 0n, 0n, 0n] };
    machine.memory.write(0x8000 + i * multicall_entry.sizeof, multicall_entry.encode(entry));
  }
  assert.equal(machine.call(HYPERVISOR.multicall, 0x8000, count), 0);
  for (let i = 0; i < count; i++) {
    const bytes = new Uint8Array(multicall_entry.sizeof);
    machine.memory.read(0x8000 + i * multicall_entry.sizeof, bytes);
    assert.equal(multicall_entry.read(bytes).result, i % 2 === 0 ? 4096n : BigInt(-Errno.EINVAL));
  }
  assert.equal(machine.call(HYPERVISOR.multicall, 0xfffe0, 2), -Errno.EFAULT);
});
