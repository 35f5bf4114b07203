/** What guests of several tests do with timers. */
import assert from "node:assert/strict";
import { VCPUOP, vcpu_set_singleshot_timer } from "../../src/abi/vcpu.ts";
import { HYPERVISOR } from "../../src/abi/xen.ts";
import type { Guest } from "./guest.ts";

/** Has VIRQ_TIMER raised once, at a system time in nanoseconds. */
export function setTimer(guest: Guest, deadline: number): void {
  const at = guest.place(vcpu_set_singleshot_timer, { timeout_abs_ns: BigInt(deadline) });
  assert.equal(guest.call(HYPERVISOR.vcpu_op, VCPUOP.set_singleshot_timer, 0, at), 0);
}
