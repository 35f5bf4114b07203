/** HYPERVISOR_sched_op(cmd, arg). xen/include/public/sched.h; xen/common/sched/core.c. */

import { Errno } from "../../abi/errno.ts";
import {
  sched_poll,
  sched_remote_shutdown,
  sched_shutdown,
  sched_watchdog,
  SCHEDOP,
  SHUTDOWN,
} from "../../abi/sched.ts";
import { DOMID } from "../../abi/xen.ts";
import { u32 } from "../../bits/integers.ts";
import { DOMAIN } from "../heap.ts";
import { isPending, upcallPending } from "../event-channels.ts";
import { isPort } from "../event-table.ts";
import { hypercall, operation, refused, subcommand } from "../hypercall.ts";
import type { Caller, HypercallResult } from "../hypercall.ts";

/** Ports in one poll. Xen: do_poll(), "fairly arbitrary limit". */
const MAX_POLL_PORTS = 128;

/** What a vCPU does with its time, and how a domain ends. */
export const sched_op = hypercall("sched_op", SCHEDOP, {
  yield: operation((caller) => {
    caller.cpu.yielded = true;
    return 0;
  }),
  block: operation(block),
  shutdown: subcommand(sched_shutdown, shutdown),
  poll: subcommand(sched_poll, poll),
  remote_shutdown: subcommand(sched_remote_shutdown, remoteShutdown),
  shutdown_code: subcommand(sched_shutdown, latchCode),
  watchdog: subcommand(sched_watchdog, watchdog),
  pin_override: refused(Errno.EPERM, "for the hardware domain only"),
});

/** Sleeps until an event is there. Xen: vcpu_block_enable_events() */
function block(caller: Caller): HypercallResult {
  if (!upcallPending(caller.domain, caller.vcpu)) caller.cpu.blocked = true;
  return 0;
}

/** Ends the domain, for a reason up to SHUTDOWN.MAX; other numbers mean a crash. Xen: domain_shutdown() */
function shutdown(caller: Caller, op: sched_shutdown): HypercallResult {
  caller.domain.shutdown(op.reason <= SHUTDOWN.MAX ? op.reason : SHUTDOWN.crash);
  return 0;
}

/** -ESRCH: no domain of this number. -EPERM: for device models and domain 0, which do not call by hypercall here. */
function remoteShutdown(caller: Caller, op: sched_remote_shutdown): HypercallResult {
  // DOMID_SELF is no number of a domain here.
  const exists = op.domain_id !== DOMID.SELF && caller.findDomain(op.domain_id) !== undefined;
  return exists ? -Errno.EPERM : -Errno.ESRCH;
}

/** Keeps a reason for the shutdown that will come; the first one counts. */
function latchCode(caller: Caller, op: sched_shutdown): HypercallResult {
  const reason = op.reason <= SHUTDOWN.MAX ? op.reason : SHUTDOWN.crash;
  if (caller.domain.get(DOMAIN.shutdownCode) === 0) caller.domain.set(DOMAIN.shutdownCode, reason + 1);
  return 0;
}

/** Sleeps until one of the ports is pending, or the time has come. -EINVAL: too many, or one is no port. -EFAULT. */
function poll(caller: Caller, op: sched_poll): HypercallResult {
  if (op.nr_ports > MAX_POLL_PORTS) return -Errno.EINVAL;
  const bytes = caller.copyIn(op.ports, op.nr_ports * 4);
  if (bytes === undefined) return -Errno.EFAULT;
  const { cpu, domain } = caller;
  cpu.deliverRaised();
  if (upcallPending(domain, caller.vcpu)) return 0;
  const view = new DataView(bytes.buffer);
  const ports: number[] = [];
  for (let i = 0; i < op.nr_ports; i++) {
    const port = u32.get(view, i * 4);
    if (!isPort(domain, port)) return -Errno.EINVAL;
    if (isPending(domain, port)) return 0;
    ports.push(port);
  }
  cpu.pollPorts = ports;
  // As everywhere in Xen, a time beyond 2^63 is negative, hence in the past.
  cpu.timers.poll = op.timeout === 0n ? Infinity : Number(BigInt.asIntN(64, op.timeout));
  cpu.blocked = true;
  return 0;
}

/**
 * @returns the id of a new watchdog. -ENOSPC: there are as many as there may be. -EINVAL: none of this id is in use.
 * Xen: domain_watchdog()
 */
function watchdog(caller: Caller, op: sched_watchdog): HypercallResult {
  const { timers, inputs } = caller.cpu;
  const deadline = inputs.time() + op.timeout * 1e9;
  if (op.id === 0) return timers.addWatchdog(deadline) ?? -Errno.ENOSPC;
  return timers.setWatchdog(op.id, op.timeout === 0 ? Infinity : deadline) ? 0 : -Errno.EINVAL;
}
