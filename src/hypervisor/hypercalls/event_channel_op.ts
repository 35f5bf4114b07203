/** HYPERVISOR_event_channel_op(cmd, arg). xen/include/public/event_channel.h; xen/common/event_channel.c. */

import { Errno } from "../../abi/errno.ts";
import {
  EVTCHN_FIFO,
  evtchn_alloc_unbound,
  evtchn_bind_interdomain,
  evtchn_bind_ipi,
  evtchn_bind_vcpu,
  evtchn_bind_virq,
  evtchn_close,
  evtchn_expand_array,
  evtchn_init_control,
  evtchn_reset,
  evtchn_send,
  evtchn_set_priority,
  evtchn_status,
  evtchn_status_number,
  evtchn_unmask,
  EVTCHNOP,
  EVTCHNSTAT,
} from "../../abi/event_channel.ts";
import { domainId, eventPort } from "../../abi/types.ts";
import type { EventPort } from "../../abi/types.ts";
import { DOMID } from "../../abi/xen.ts";
import { clearPending, expandArray, initControl, resetFifo, unmask } from "../event-channels.ts";
import {
  allocatePort,
  bindInterdomain,
  bindVirq,
  closeAllPorts,
  closePort,
  findBinding,
  isPort,
  portWord,
  send as sendEvent,
  setPortWord,
  virqIsPerVcpu,
} from "../event-table.ts";
import { DOMAIN, PORT } from "../heap.ts";
import { hypercall, operation, refused, subcommand } from "../hypercall.ts";
import type { Caller, HypercallResult } from "../hypercall.ts";

/** The event channels of a domain: ports that it allocates, binds, sends to and closes. */
export const event_channel_op = hypercall("event_channel_op", EVTCHNOP, {
  alloc_unbound: subcommand(evtchn_alloc_unbound, allocateUnbound),
  bind_interdomain: subcommand(evtchn_bind_interdomain, bindToRemote),
  bind_virq: subcommand(evtchn_bind_virq, bindToVirq),
  bind_pirq: refused(Errno.EINVAL, "a PVH domain has no physical interrupts"),
  bind_ipi: subcommand(evtchn_bind_ipi, bindToIpi),
  bind_vcpu: subcommand(evtchn_bind_vcpu, bindToVcpu, "in"),
  close: subcommand(evtchn_close, (caller, op) => closePort(caller.domain, op.port), "in"),
  send: subcommand(evtchn_send, send, "in"),
  status: operation(status),
  unmask: subcommand(evtchn_unmask, unmaskPort, "in"),
  reset: subcommand(evtchn_reset, reset),
  init_control: subcommand(evtchn_init_control, initialiseControl),
  expand_array: subcommand(evtchn_expand_array, (caller, op) =>
    expandArray(caller.domain, op.array_gfn, caller.cpu.upcall),
  ),
  set_priority: subcommand(evtchn_set_priority, setPriority, "in"),
});

/** Hands a new port to the guest: whatever its bit still says is not of this port's life. */
function fresh(caller: Caller, result: EventPort | number, assign: (port: EventPort) => void): HypercallResult {
  if (result < 0) return result;
  const port = eventPort(result);
  clearPending(caller.domain, port);
  assign(port);
  return 0;
}

/**
 * A port in <dom> that <remote_dom> may bind to. Xen: evtchn_alloc_unbound().
 * -ESRCH: no such domain. -EPERM: not the caller's to control. -ENOSPC: no port is free.
 */
function allocateUnbound(caller: Caller, op: evtchn_alloc_unbound): HypercallResult {
  const domain = caller.findDomain(op.dom);
  if (domain === undefined) return -Errno.ESRCH;
  if (!caller.mayControl(domain)) return -Errno.EPERM;
  const remote = op.remote_dom === DOMID.SELF ? caller.domain.id : domainId(op.remote_dom);
  const port = allocatePort(domain, { state: EVTCHNSTAT.unbound, remote });
  return fresh(caller, port, (allocated) => (op.port = allocated));
}

/** Xen: evtchn_bind_interdomain(). -ESRCH, -EINVAL, -ENOSPC. */
function bindToRemote(caller: Caller, op: evtchn_bind_interdomain): HypercallResult {
  const remote = caller.findDomain(op.remote_dom);
  if (remote === undefined) return -Errno.ESRCH;
  const port = bindInterdomain(caller.domain, remote, op.remote_port);
  return fresh(caller, port, (bound) => (op.local_port = bound));
}

/** Xen: evtchn_bind_virq(). -EINVAL, -ENOENT, -EEXIST, -ENOSPC. */
function bindToVirq(caller: Caller, op: evtchn_bind_virq): HypercallResult {
  return fresh(caller, bindVirq(caller.domain, op.virq, op.vcpu), (port) => (op.port = port));
}

/** Xen: evtchn_bind_ipi(). -ENOENT, -ENOSPC. */
function bindToIpi(caller: Caller, op: evtchn_bind_ipi): HypercallResult {
  if (op.vcpu >= caller.domain.vcpus) return -Errno.ENOENT;
  const port = allocatePort(caller.domain, { state: EVTCHNSTAT.ipi, vcpu: op.vcpu });
  return fresh(caller, port, (bound) => (op.port = bound));
}

/** Xen: evtchn_bind_vcpu(). An IPI or a per-vCPU VIRQ belongs to its vCPU: -EINVAL. */
function bindToVcpu(caller: Caller, op: evtchn_bind_vcpu): HypercallResult {
  if (op.vcpu >= caller.domain.vcpus) return -Errno.ENOENT;
  const binding = findBinding(caller.domain, op.port);
  switch (binding?.state) {
    case EVTCHNSTAT.unbound:
    case EVTCHNSTAT.interdomain:
      break;
    case EVTCHNSTAT.virq:
      if (virqIsPerVcpu(binding.virq)) return -Errno.EINVAL;
      break;
    default:
      return -Errno.EINVAL;
  }
  setPortWord(caller.domain, op.port, PORT.vcpu, op.vcpu);
  return 0;
}

/** Xen: evtchn_send(). -EINVAL for a port that cannot send. */
function send(caller: Caller, op: evtchn_send): HypercallResult {
  const result = sendEvent(caller.domain, op.port);
  // An event to oneself is there when the hypercall returns.
  if (result === 0) caller.cpu.deliverRaised();
  return result;
}

/** Xen: evtchn_status(). -ESRCH, -EPERM, -EINVAL for a number that is no port. */
function status(caller: Caller, address: bigint): HypercallResult {
  const bytes = caller.copyIn(address, evtchn_status.sizeof);
  if (bytes === undefined) return -Errno.EFAULT;
  const op = evtchn_status.read(bytes);
  const domain = caller.findDomain(op.dom);
  if (domain === undefined) return -Errno.ESRCH;
  if (!caller.mayControl(domain)) return -Errno.EPERM;
  if (!isPort(domain, op.port)) return -Errno.EINVAL;
  const binding = findBinding(domain, op.port);
  op.status = binding?.state ?? EVTCHNSTAT.closed;
  op.vcpu = portWord(domain, op.port, PORT.vcpu);
  if (binding !== undefined && "remote" in binding) op.u_dom = binding.remote;
  if (binding?.state === EVTCHNSTAT.interdomain) op.u_port = binding.remotePort;
  evtchn_status.write(bytes, 0, op);
  if (binding?.state === EVTCHNSTAT.virq) {
    evtchn_status_number.write(bytes, 0, { ...evtchn_status_number.read(bytes), u_number: binding.virq });
  }
  return caller.copyOut(address, bytes) ? 0 : -Errno.EFAULT;
}

/** Xen: evtchn_unmask(). -EINVAL for a number that is no port. */
function unmaskPort(caller: Caller, op: evtchn_unmask): HypercallResult {
  if (!isPort(caller.domain, op.port)) return -Errno.EINVAL;
  unmask(caller.domain, op.port, caller.cpu.upcall);
  return 0;
}

/** Xen: evtchn_reset(). -ESRCH, -EPERM. */
function reset(caller: Caller, op: evtchn_reset): HypercallResult {
  const domain = caller.findDomain(op.dom);
  if (domain === undefined) return -Errno.ESRCH;
  if (!caller.mayControl(domain)) return -Errno.EPERM;
  closeAllPorts(domain);
  resetFifo(domain);
  return 0;
}

/** Xen: evtchn_fifo_init_control(). */
function initialiseControl(caller: Caller, op: evtchn_init_control): HypercallResult {
  const result = initControl(caller.domain, op.vcpu, op.control_gfn, op.offset);
  if (result === 0) op.link_bits = EVTCHN_FIFO.LINK_BITS;
  return result;
}

/** Xen: evtchn_set_priority(). -ENOSYS in the 2-level ABI, which has none; -EINVAL. */
function setPriority(caller: Caller, op: evtchn_set_priority): HypercallResult {
  if (!isPort(caller.domain, op.port)) return -Errno.EINVAL;
  if (caller.domain.get(DOMAIN.fifo) === 0) return -Errno.ENOSYS;
  if (op.priority > EVTCHN_FIFO.PRIORITY_MIN) return -Errno.EINVAL;
  setPortWord(caller.domain, op.port, PORT.priority, op.priority);
  return 0;
}
