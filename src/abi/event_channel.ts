/** xen/include/public/event_channel.h: the operations of event_channel_op, and the FIFO ABI's words. */

import { u8, u32, u64 } from "../bits/integers.ts";
import { array, struct } from "../bits/struct.ts";
import type { Infer } from "../bits/struct.ts";
import { domid_t, evtchn_port_t } from "./types.ts";

/** EVTCHNOP_* */
export const EVTCHNOP = {
  bind_interdomain: 0,
  bind_virq: 1,
  bind_pirq: 2,
  close: 3,
  send: 4,
  status: 5,
  alloc_unbound: 6,
  bind_ipi: 7,
  bind_vcpu: 8,
  unmask: 9,
  reset: 10,
  init_control: 11,
  expand_array: 12,
  set_priority: 13,
} as const;

/** Allocates a port in <dom> and marks it as accepting interdomain bindings from <remote_dom>. OUT: port. */
export const evtchn_alloc_unbound = struct("evtchn_alloc_unbound", 8, {
  dom: domid_t,
  remote_dom: domid_t,
  port: evtchn_port_t,
});
export type evtchn_alloc_unbound = Infer<typeof evtchn_alloc_unbound>;

/** Joins a new port of the caller with <remote_port> of <remote_dom>, unbound until then. OUT: local_port. */
export const evtchn_bind_interdomain = struct("evtchn_bind_interdomain", 12, {
  remote_dom: domid_t,
  remote_port: evtchn_port_t,
  local_port: evtchn_port_t,
});
export type evtchn_bind_interdomain = Infer<typeof evtchn_bind_interdomain>;

/** A port on which <vcpu> hears of <virq>; one for each pair. OUT: port. */
export const evtchn_bind_virq = struct("evtchn_bind_virq", 12, { virq: u32, vcpu: u32, port: evtchn_port_t });
export type evtchn_bind_virq = Infer<typeof evtchn_bind_virq>;

/** A port for a physical interrupt. OUT: port. */
export const evtchn_bind_pirq = struct("evtchn_bind_pirq", 12, { pirq: u32, flags: u32, port: evtchn_port_t });
export type evtchn_bind_pirq = Infer<typeof evtchn_bind_pirq>;

/** A port whose sender is the domain itself: vCPUs interrupt <vcpu> with it. OUT: port. */
export const evtchn_bind_ipi = struct("evtchn_bind_ipi", 8, { vcpu: u32, port: evtchn_port_t });
export type evtchn_bind_ipi = Infer<typeof evtchn_bind_ipi>;

/** Frees a port; its peer, if it has one, becomes unbound. */
export const evtchn_close = struct("evtchn_close", 4, { port: evtchn_port_t });
export type evtchn_close = Infer<typeof evtchn_close>;

/** Makes the remote end of a port pending. */
export const evtchn_send = struct("evtchn_send", 4, { port: evtchn_port_t });
export type evtchn_send = Infer<typeof evtchn_send>;

/** EVTCHNSTAT_* */
export const EVTCHNSTAT = { closed: 0, unbound: 1, interdomain: 2, pirq: 3, virq: 4, ipi: 5 } as const;

/**
 * What a port is. `u_dom` is the peer of an unbound or interdomain port; `u_port` the peer's port. For a pirq or virq its
 * number lies where `u_dom` begins, four bytes wide: see {@link evtchn_status_number}.
 */
export const evtchn_status = struct("evtchn_status", 24, {
  dom: domid_t,
  port: evtchn_port_t,
  status: u32,
  vcpu: u32,
  u_dom: domid_t,
  u_port: evtchn_port_t,
});
export type evtchn_status = Infer<typeof evtchn_status>;

/** evtchn_status with its union read as u.pirq or u.virq. */
export const evtchn_status_number = struct("evtchn_status", 24, {
  dom: domid_t,
  port: evtchn_port_t,
  status: u32,
  vcpu: u32,
  u_number: u32,
  u_padding: u32,
});

/** Moves a port's upcalls to another vCPU. */
export const evtchn_bind_vcpu = struct("evtchn_bind_vcpu", 8, { port: evtchn_port_t, vcpu: u32 });
export type evtchn_bind_vcpu = Infer<typeof evtchn_bind_vcpu>;

/** Clears a port's mask bit, and delivers the event if one waited. */
export const evtchn_unmask = struct("evtchn_unmask", 4, { port: evtchn_port_t });
export type evtchn_unmask = Infer<typeof evtchn_unmask>;

/** Closes every port of a domain, and takes it back to the 2-level ABI. */
export const evtchn_reset = struct("evtchn_reset", 2, { dom: domid_t });
export type evtchn_reset = Infer<typeof evtchn_reset>;

/** Gives <vcpu>'s FIFO control block; the first one switches the domain to the FIFO ABI. OUT: link_bits. */
export const evtchn_init_control = struct("evtchn_init_control", 24, {
  control_gfn: u64,
  offset: u32,
  vcpu: u32,
  link_bits: u8,
  _pad: array(u8, 7),
});
export type evtchn_init_control = Infer<typeof evtchn_init_control>;

/** Adds a page of 1024 event words. */
export const evtchn_expand_array = struct("evtchn_expand_array", 8, { array_gfn: u64 });
export type evtchn_expand_array = Infer<typeof evtchn_expand_array>;

/** Moves a port to another of a vCPU's queues; takes effect the next time it is linked. */
export const evtchn_set_priority = struct("evtchn_set_priority", 8, { port: evtchn_port_t, priority: u32 });
export type evtchn_set_priority = Infer<typeof evtchn_set_priority>;

/** EVTCHN_FIFO_*: priorities, bits of an event word, and limits. */
export const EVTCHN_FIFO = {
  PRIORITY_MAX: 0,
  PRIORITY_DEFAULT: 7,
  PRIORITY_MIN: 15,
  MAX_QUEUES: 16,
  PENDING: 31,
  MASKED: 30,
  LINKED: 29,
  BUSY: 28,
  LINK_BITS: 17,
  LINK_MASK: 0x1ffff,
  NR_CHANNELS: 131072,
} as const;

/** One vCPU's queue heads, and a bit for each queue that is not empty. */
export const evtchn_fifo_control_block = struct("evtchn_fifo_control_block", 72, {
  ready: u32,
  _rsvd: u32,
  head: array(u32, EVTCHN_FIFO.MAX_QUEUES),
});
export type evtchn_fifo_control_block = Infer<typeof evtchn_fifo_control_block>;
