/** HYPERVISOR_hvm_op(cmd, arg). xen/include/public/hvm/hvm_op.h; xen/arch/x86/hvm/hvm.c. */

import { Errno } from "../../abi/errno.ts";
import {
  HVMMEM,
  HVMOP,
  xen_hvm_evtchn_upcall_vector,
  xen_hvm_get_mem_type,
  xen_hvm_get_time,
  xen_hvm_param,
} from "../../abi/hvm/hvm_op.ts";
import { HVM_NR_PARAMS, HVM_PARAM } from "../../abi/hvm/params.ts";
import { P2mType } from "../../engine/engine.ts";
import { upcallPending } from "../event-channels.ts";
import { VCPU } from "../heap.ts";
import { absent, hypercall, operation, refused, subcommand } from "../hypercall.ts";
import type { Caller, HypercallResult } from "../hypercall.ts";

/** What only domains with hardware virtualization have: parameters, and the vector for events. */
export const hvm_op = hypercall("hvm_op", HVMOP, {
  set_param: subcommand(xen_hvm_param, setParam),
  get_param: subcommand(xen_hvm_param, getParam),
  set_pci_intx_level: absent("device models use dm_op"),
  set_isa_irq_level: absent("device models use dm_op"),
  set_pci_link_route: absent("device models use dm_op"),
  flush_tlbs: operation(flushTlbs),
  pagetable_dying: refused(Errno.EINVAL, "a hint for shadow page tables, and there are none"),
  get_time: subcommand(xen_hvm_get_time, (caller, op) => {
    op.now = BigInt(caller.cpu.inputs.time());
    return 0;
  }),
  xentrace: absent("there is no trace buffer"),
  set_mem_access: absent("moved to memory_op's access_op"),
  get_mem_access: absent("moved to memory_op's access_op"),
  get_mem_type: subcommand(xen_hvm_get_mem_type, getMemType),
  set_evtchn_upcall_vector: subcommand(xen_hvm_evtchn_upcall_vector, setUpcallVector),
  guest_request_vm_event: absent("no monitor listens"),
  altp2m: absent("there is one p2m"),
});

/** Parameters that a guest may set itself. Xen: hvm_allow_set_param() */
const SETTABLE: ReadonlySet<number> = new Set([
  HVM_PARAM.CALLBACK_IRQ,
  HVM_PARAM.VM86_TSS,
  HVM_PARAM.VM86_TSS_SIZED,
  HVM_PARAM.ACPI_IOPORTS_LOCATION,
  HVM_PARAM.VM_GENERATION_ID_ADDR,
  HVM_PARAM.STORE_EVTCHN,
  HVM_PARAM.CONSOLE_EVTCHN,
  HVM_PARAM.X87_FIP_WIDTH,
]);

/** Parameters that a guest may read. Xen: hvm_allow_get_param() */
const READABLE: ReadonlySet<number> = new Set([
  ...SETTABLE,
  HVM_PARAM.STORE_PFN,
  HVM_PARAM.CONSOLE_PFN,
  HVM_PARAM.ALTP2M,
]);

/** Parameters that have been given up. */
const DEPRECATED: ReadonlySet<number> = new Set([
  HVM_PARAM.PAE_ENABLED,
  HVM_PARAM.DM_DOMAIN,
  HVM_PARAM.MEMORY_EVENT_CR0,
  HVM_PARAM.MEMORY_EVENT_CR3,
  HVM_PARAM.MEMORY_EVENT_CR4,
  HVM_PARAM.MEMORY_EVENT_INT3,
  HVM_PARAM.NESTEDHVM,
  HVM_PARAM.MEMORY_EVENT_SINGLE_STEP,
  HVM_PARAM.BUFIOREQ_EVTCHN,
  HVM_PARAM.MEMORY_EVENT_MSR,
]);

/** Sizes of the x87 instruction pointer that FXSAVE may store: by the code's mode, 4, 8. Xen: HVM_PARAM_X87_FIP_WIDTH */
const FIP_WIDTHS: ReadonlySet<bigint> = new Set([0n, 4n, 8n]);

/**
 * -EINVAL: no such parameter, a deprecated one, or no such value. -ESRCH, -EPERM: not the caller's to set. -EEXIST: it
 * is fixed. -ENODEV: what it is about is not there.
 */
function setParam(caller: Caller, op: xen_hvm_param): HypercallResult {
  if (op.index >= HVM_NR_PARAMS) return -Errno.EINVAL;
  const domain = caller.findDomain(op.domid);
  if (domain === undefined) return -Errno.ESRCH;
  if (domain !== caller.domain) return -Errno.EPERM;
  if (op.index === HVM_PARAM.ALTP2M) return -Errno.EEXIST;
  if (DEPRECATED.has(op.index)) return -Errno.EINVAL;
  if (!SETTABLE.has(op.index)) return -Errno.EPERM;
  if (op.index === HVM_PARAM.X87_FIP_WIDTH && !FIP_WIDTHS.has(op.value)) return -Errno.EINVAL;
  // It moves the ACPI timer, which PVH domains do not have.
  if (op.index === HVM_PARAM.ACPI_IOPORTS_LOCATION) return -Errno.ENODEV;
  domain.setParam(op.index, op.value);
  if (op.index === HVM_PARAM.CALLBACK_IRQ) {
    caller.cpu.latchLayout();
    for (let vcpu = 0; vcpu < domain.vcpus; vcpu++) if (vcpu !== caller.vcpu) domain.kick(vcpu);
  }
  return 0;
}

/** -EINVAL, -ESRCH, -EPERM, as above. */
function getParam(caller: Caller, op: xen_hvm_param): HypercallResult {
  if (op.index >= HVM_NR_PARAMS) return -Errno.EINVAL;
  const domain = caller.findDomain(op.domid);
  if (domain === undefined) return -Errno.ESRCH;
  if (domain !== caller.domain) return -Errno.EPERM;
  if (DEPRECATED.has(op.index)) return -Errno.EINVAL;
  if (!READABLE.has(op.index)) return -Errno.EPERM;
  op.value = domain.param(op.index);
  return 0;
}

/** Drops the translations of all the domain's vCPUs. -EINVAL: the argument is for a mask that nobody defined. */
function flushTlbs(caller: Caller, address: bigint): HypercallResult {
  if (address !== 0n) return -Errno.EINVAL;
  for (let vcpu = 0; vcpu < caller.domain.vcpus; vcpu++) {
    if (vcpu === caller.vcpu) caller.cpu.vcpu.flushTlb();
    else {
      caller.domain.vcpuSet(vcpu, VCPU.flush, 1);
      caller.domain.kick(vcpu);
    }
  }
  return 0;
}

/** -ESRCH, -EPERM. */
function getMemType(caller: Caller, op: xen_hvm_get_mem_type): HypercallResult {
  const domain = caller.findDomain(op.domid);
  if (domain === undefined) return -Errno.ESRCH;
  if (domain !== caller.domain) return -Errno.EPERM;
  const { memory } = domain;
  const type = op.pfn < BigInt(memory.p2mFrames) ? memory.p2mType(Number(op.pfn)) : P2mType.mmio;
  op.mem_type = type === P2mType.ram ? HVMMEM.ram_rw : type === P2mType.ramReadOnly ? HVMMEM.ram_ro : HVMMEM.mmio_dm;
  return 0;
}

/** -EINVAL: vectors below 16 are exceptions. -ENOENT: no such vCPU. Xen: hvmop_set_evtchn_upcall_vector() */
function setUpcallVector(caller: Caller, op: xen_hvm_evtchn_upcall_vector): HypercallResult {
  if (op.vector < 0x10) return -Errno.EINVAL;
  if (op.vcpu >= caller.domain.vcpus) return -Errno.ENOENT;
  caller.domain.vcpuSet(op.vcpu, VCPU.upcallVector, op.vector);
  if (upcallPending(caller.domain, op.vcpu)) caller.cpu.upcall(op.vcpu);
  return 0;
}
