/** Every hypercall that a PVH domain can make. Numbers that are not here are answered with -ENOSYS. */

import { Errno } from "../../abi/errno.ts";
import { HYPERVISOR, multicall_entry } from "../../abi/xen.ts";
import { layout, plain } from "../hypercall.ts";
import type { Hypercall, HypercallResult } from "../hypercall.ts";
import { event_channel_op } from "./event_channel_op.ts";
import { grant_table_op } from "./grant_table_op.ts";
import { hvm_op } from "./hvm_op.ts";
import { memory_op } from "./memory_op.ts";
import { console_io, set_timer_op, vm_assist } from "./misc.ts";
import { sched_op } from "./sched_op.ts";
import { vcpu_op } from "./vcpu_op.ts";
import { xen_version } from "./xen_version.ts";

/** Calls of a multicall that are done before it is interrupted. */
const CALLS_AT_ONCE = 64;

const single: ReadonlyMap<number, Hypercall> = new Map([
  [HYPERVISOR.memory_op, memory_op],
  [HYPERVISOR.set_timer_op, set_timer_op],
  [HYPERVISOR.xen_version, xen_version],
  [HYPERVISOR.console_io, console_io],
  [HYPERVISOR.grant_table_op, grant_table_op],
  [HYPERVISOR.vm_assist, vm_assist],
  [HYPERVISOR.vcpu_op, vcpu_op],
  [HYPERVISOR.sched_op, sched_op],
  [HYPERVISOR.event_channel_op, event_channel_op],
  [HYPERVISOR.hvm_op, hvm_op],
]);

/**
 * HYPERVISOR_multicall(list, count): several calls, each with its result in its entry. A multicall inside is -EINVAL.
 * -EFAULT: an entry cannot be read or written. Xen: do_multicall()
 */
const multicall = plain("multicall", (caller) => {
  const codec = layout(caller, multicall_entry);
  const [address = 0n, count = 0n] = caller.args;
  const until = count > BigInt(CALLS_AT_ONCE) ? CALLS_AT_ONCE : Number(count);
  const { cpu } = caller;
  for (let i = 0; i < until; i++) {
    const at = address + BigInt(i * codec.sizeof);
    const bytes = caller.copyIn(at, codec.sizeof);
    if (bytes === undefined) return -Errno.EFAULT;
    const entry = codec.read(bytes);
    const inner = caller.with([...entry.args]);
    const number = Number(BigInt.asUintN(32, entry.op));
    const absent = number === HYPERVISOR.multicall ? -Errno.EINVAL : -Errno.ENOSYS;
    const result: HypercallResult = single.get(number)?.run(inner) ?? absent;
    if (result === "continue") entry.args = inner.args;
    else entry.result = BigInt(result);
    codec.write(bytes, 0, entry);
    if (!caller.copyOut(at, bytes)) return -Errno.EFAULT;
    if (result === "continue" || cpu.blocked || cpu.yielded) return proceed(i + (result === "continue" ? 0 : 1));
  }
  return proceed(until);

  function proceed(done: number): HypercallResult {
    if (BigInt(done) === count) return 0;
    caller.args[0] = address + BigInt(done * codec.sizeof);
    caller.args[1] = count - BigInt(done);
    return "continue";
  }
});

/** The table, by hypercall number. */
export const hypercalls: ReadonlyMap<number, Hypercall> = new Map([...single, [HYPERVISOR.multicall, multicall]]);
