/** Guests that use event channels by the FIFO ABI: events are linked into queues in the guest's own pages. */
import assert from "node:assert/strict";
import { Errno } from "../../src/abi/errno.ts";
import * as abi from "../../src/abi/event_channel.ts";
import { eventPort } from "../../src/abi/types.ts";
import { DOMID, HYPERVISOR } from "../../src/abi/xen.ts";
import type { Guest } from "./guest.ts";
import { Memory } from "./layout.ts";
import { observes } from "./observes.ts";
import { mapSharedInfo, shared } from "./shared-info.ts";

const { EVTCHN_FIFO, EVTCHNOP } = abi;
const NUMBER = HYPERVISOR.event_channel_op;
const CONTROL_FRAME = Memory.freeFrame;
const ARRAY_FRAME = Memory.freeFrame + 2;
const PENDING = 1 << EVTCHN_FIFO.PENDING;
const MASKED = 1 << EVTCHN_FIFO.MASKED;
const LINKED = 1 << EVTCHN_FIFO.LINKED;

function initControl(guest: Guest, control_gfn: bigint, offset = 0, vcpu = 0) {
  const op = { control_gfn, offset, vcpu };
  return guest.op(NUMBER, EVTCHNOP.init_control, abi.evtchn_init_control, op);
}
function expandArray(guest: Guest, array_gfn: bigint): number {
  return guest.op(NUMBER, EVTCHNOP.expand_array, abi.evtchn_expand_array, { array_gfn }).result;
}
function bindIpi(guest: Guest, vcpu = 0): number {
  return guest.op(NUMBER, EVTCHNOP.bind_ipi, abi.evtchn_bind_ipi, { vcpu }).out.port;
}
function send(guest: Guest, port: number): void {
  const { result } = guest.op(NUMBER, EVTCHNOP.send, abi.evtchn_send, { port: eventPort(port) });
  assert.equal(result, 0);
}
function setPriority(guest: Guest, port: number, priority: number): number {
  const op = { port: eventPort(port), priority };
  return guest.op(NUMBER, EVTCHNOP.set_priority, abi.evtchn_set_priority, op).result;
}
const wordAt = (port: number): number => ARRAY_FRAME * 4096 + port * 4;

/** The control block, and the ports of a queue in the order in which they are linked. */
function queues(guest: Guest, offset = 0) {
  const block = guest.read(abi.evtchn_fifo_control_block, CONTROL_FRAME * 4096 + offset);
  const linked = (priority: number): number[] => {
    const ports: number[] = [];
    for (let port = block.head[priority] ?? 0; port !== 0;) {
      ports.push(port);
      port = guest.u32(wordAt(port)) & EVTCHN_FIFO.LINK_MASK;
    }
    return ports;
  };
  return { ready: block.ready, linked };
}

function enterFifo(guest: Guest): void {
  mapSharedInfo(guest);
  assert.equal(initControl(guest, BigInt(CONTROL_FRAME)).result, 0);
  assert.equal(expandArray(guest, BigInt(ARRAY_FRAME)), 0);
}

observes("event_channel_op.init_control", "events go to queues from now on", (guest) => {
  mapSharedInfo(guest);
  const { out, result } = initControl(guest, BigInt(CONTROL_FRAME), 8);
  assert.deepEqual([result, out.link_bits], [0, EVTCHN_FIFO.LINK_BITS]);
  assert.equal(expandArray(guest, BigInt(ARRAY_FRAME)), 0);
  const port = bindIpi(guest);
  send(guest, port);
  assert.ok(!shared(guest).isPending(port));
  assert.equal(guest.u32(wordAt(port)), (PENDING | LINKED) >>> 0);
  assert.equal(queues(guest, 8).ready, 1 << EVTCHN_FIFO.PRIORITY_DEFAULT);
  assert.deepEqual(queues(guest, 8).linked(EVTCHN_FIFO.PRIORITY_DEFAULT), [port]);
  assert.equal(shared(guest).upcall(0), 1);
});

observes(
  "event_channel_op.init_control",
  "one block in one page of RAM for each vCPU",
  (guest) => {
    const frame = BigInt(CONTROL_FRAME);
    assert.equal(initControl(guest, frame, 0, 2).result, -Errno.ENOENT);
    assert.equal(initControl(guest, frame, 0, 0xffffffff).result, -Errno.ENOENT);
    for (const offset of [4096 - 71, 4096, 0xfffffff8, 4, 1]) {
      assert.equal(initControl(guest, frame, offset).result, -Errno.EINVAL, `${offset}`);
    }
    for (const gfn of [BigInt(Memory.hole / 4096), 1n << 20n, 1n << 52n, 0xffff_ffff_ffff_ffffn, 0xfee00n]) {
      assert.equal(initControl(guest, gfn).result, -Errno.EINVAL, `${gfn}`);
    }
    assert.equal(expandArray(guest, BigInt(ARRAY_FRAME)), -Errno.EOPNOTSUPP, "a failed call switches nothing");
    assert.equal(initControl(guest, frame, 4096 - 72).result, 0);
    assert.equal(initControl(guest, frame).result, -Errno.EINVAL);
    assert.equal(initControl(guest, frame, 0, 1).result, 0);
  },
  { vcpus: 2 },
);

observes("event_channel_op.init_control", "what is pending by the 2-level ABI stays so", (guest) => {
  mapSharedInfo(guest);
  const port = bindIpi(guest);
  send(guest, port);
  assert.equal(initControl(guest, BigInt(CONTROL_FRAME)).result, 0);
  assert.equal(expandArray(guest, BigInt(ARRAY_FRAME)), 0);
  assert.deepEqual(queues(guest).linked(EVTCHN_FIFO.PRIORITY_DEFAULT), [port]);
});

observes("event_channel_op.expand_array", "events that came before their words are delivered", (guest) => {
  mapSharedInfo(guest);
  const ports = [bindIpi(guest), bindIpi(guest)];
  assert.equal(initControl(guest, BigInt(CONTROL_FRAME)).result, 0);
  for (const port of ports) send(guest, port);
  assert.equal(queues(guest).ready, 0);
  assert.equal(expandArray(guest, BigInt(ARRAY_FRAME)), 0);
  assert.deepEqual(queues(guest).linked(EVTCHN_FIFO.PRIORITY_DEFAULT), ports);
});

observes("event_channel_op.expand_array", "pages of RAM, as many as there are ports", (guest) => {
  assert.equal(expandArray(guest, BigInt(ARRAY_FRAME)), -Errno.EOPNOTSUPP);
  assert.equal(initControl(guest, BigInt(CONTROL_FRAME)).result, 0);
  for (const gfn of [BigInt(Memory.hole / 4096), 1n << 20n, 0xffff_ffff_ffff_ffffn]) {
    assert.equal(expandArray(guest, gfn), -Errno.EINVAL);
  }
  const pages = EVTCHN_FIFO.NR_CHANNELS / 1024;
  for (let page = 0; page < pages; page++) assert.equal(expandArray(guest, BigInt(ARRAY_FRAME)), 0);
  assert.equal(expandArray(guest, BigInt(ARRAY_FRAME)), -Errno.ENOSPC);
});

observes("event_channel_op.set_priority", "events go to the queue of their priority", (guest) => {
  const port = bindIpi(guest);
  assert.equal(setPriority(guest, port, 0), -Errno.ENOSYS, "the 2-level ABI has none");
  enterFifo(guest);
  assert.equal(setPriority(guest, port, 3), 0);
  send(guest, port);
  assert.deepEqual([queues(guest).ready, queues(guest).linked(3)], [1 << 3, [port]]);
  assert.equal(setPriority(guest, port, 16), -Errno.EINVAL);
  assert.equal(setPriority(guest, port, 0xffffffff), -Errno.EINVAL);
  for (const hostile of [0, 1024, 0xffffffff]) assert.equal(setPriority(guest, hostile, 0), -Errno.EINVAL);
});

observes("event_channel_op.send", "events of one queue are linked in the order in which they came", (guest) => {
  enterFifo(guest);
  const ports = [bindIpi(guest), bindIpi(guest), bindIpi(guest)].toReversed();
  for (const port of ports) send(guest, port);
  for (const port of ports) send(guest, port);
  assert.deepEqual(queues(guest).linked(EVTCHN_FIFO.PRIORITY_DEFAULT), ports);
  // The guest takes all of them off, as evtchn_fifo's consumer does; the next one begins a queue.
  for (const port of ports) guest.setU32(wordAt(port), 0);
  guest.setU32(CONTROL_FRAME * 4096, 0);
  guest.setU32(CONTROL_FRAME * 4096 + 8 + EVTCHN_FIFO.PRIORITY_DEFAULT * 4, 0);
  send(guest, ports[1] ?? 0);
  assert.deepEqual(queues(guest).linked(EVTCHN_FIFO.PRIORITY_DEFAULT), [ports[1]]);
});

observes("event_channel_op.send", "a guest that forges links confuses only itself", (guest) => {
  enterFifo(guest);
  const ports = [bindIpi(guest), bindIpi(guest), bindIpi(guest)];
  for (const word of [0xffffffff, 0x1ffff | LINKED, 0, LINKED | BUSY]) {
    for (const port of ports) {
      send(guest, port);
      for (const forged of ports) guest.setU32(wordAt(forged), word);
    }
  }
  assert.equal(guest.call(HYPERVISOR.xen_version, 0) >>> 16, 4);
});
const BUSY = 1 << EVTCHN_FIFO.BUSY;

observes("event_channel_op.unmask", "a masked event is linked when its mask goes", (guest) => {
  enterFifo(guest);
  const port = bindIpi(guest);
  guest.setU32(wordAt(port), MASKED);
  send(guest, port);
  assert.equal(guest.u32(wordAt(port)), (PENDING | MASKED) >>> 0);
  assert.equal(guest.op(NUMBER, EVTCHNOP.unmask, abi.evtchn_unmask, { port: eventPort(port) }).result, 0);
  assert.equal(guest.u32(wordAt(port)), (PENDING | LINKED) >>> 0);
  assert.deepEqual(queues(guest).linked(EVTCHN_FIFO.PRIORITY_DEFAULT), [port]);
});

observes("event_channel_op.reset", "the domain is back in the 2-level ABI", (guest) => {
  enterFifo(guest);
  assert.equal(guest.op(NUMBER, EVTCHNOP.reset, abi.evtchn_reset, { dom: DOMID.SELF }).result, 0);
  const port = bindIpi(guest);
  send(guest, port);
  assert.ok(shared(guest).isPending(port));
  assert.equal(initControl(guest, BigInt(CONTROL_FRAME)).result, 0, "and can leave it again");
});
