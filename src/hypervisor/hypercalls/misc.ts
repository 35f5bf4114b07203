/** Hypercalls without sub-operations worth a file: vm_assist, set_timer_op, console_io. xen/include/public/xen.h. */

import { Errno } from "../../abi/errno.ts";
import { CONSOLEIO, VMASST_CMD, VMASST_TYPE } from "../../abi/xen.ts";
import { DOMAIN } from "../heap.ts";
import { hypercall, operation, plain, refused } from "../hypercall.ts";
import type { Caller, Hypercall, HypercallResult } from "../hypercall.ts";

/** What a translated guest may switch. Xen: HVM_VM_ASSIST_VALID */
const ASSISTS: ReadonlySet<number> = new Set([VMASST_TYPE.runstate_update_flag]);

/** HYPERVISOR_vm_assist(cmd, type). -EINVAL: not for this kind of guest. -ENOSYS. */
export const vm_assist = plain("vm_assist", (caller) => {
  const [command = 0n, type = 0n] = caller.args.map((argument) => BigInt.asUintN(32, argument));
  if (!ASSISTS.has(Number(type))) return -Errno.EINVAL;
  const { words } = caller.domain.heap;
  const at = caller.domain.base + DOMAIN.vmAssist;
  switch (Number(command)) {
    case VMASST_CMD.enable:
      Atomics.or(words, at, 1 << Number(type));
      return 0;
    case VMASST_CMD.disable:
      Atomics.and(words, at, ~(1 << Number(type)));
      return 0;
    default:
      return -Errno.ENOSYS;
  }
});

/** A time that is negative or further away than this, in nanoseconds, is a guest's mistake in reckoning. */
const TOO_FAR = 2 ** 50;
/** What it gets instead: it may have work to do, or may just have meant never. Xen: do_set_timer_op() */
const SOON = 100_000_000;

/** HYPERVISOR_set_timer_op(timeout): VIRQ_TIMER at an absolute time, 0 for never. 32-bit code passes two halves. */
export const set_timer_op = plain("set_timer_op", (caller) => {
  const [low = 0n, high = 0n] = caller.args;
  const timeout = Number(BigInt.asIntN(64, caller.compat ? (high << 32n) | low : low));
  const { inputs, timers } = caller.cpu;
  if (timeout === 0) timers.singleshot = Infinity;
  else {
    const now = inputs.time();
    timers.singleshot = timeout < 0 || timeout - now >= TOO_FAR ? now + SOON : timeout;
  }
  return 0;
});

/** Bytes that one call puts out before it is interrupted. */
const CHUNK = 4096;

const byCommand = hypercall(
  "console_io",
  CONSOLEIO,
  { write: operation(write), read: refused(Errno.EPERM, "the hypervisor's console has no input for guests") },
  { argument: 2 },
);

/** HYPERVISOR_console_io(cmd, count, buffer): the emergency console. */
export const console_io: Hypercall = byCommand;

/** -EFAULT. */
function write(caller: Caller, address: bigint): HypercallResult {
  const count = BigInt.asUintN(32, caller.args[1] ?? 0n);
  const length = Number(count > BigInt(CHUNK) ? BigInt(CHUNK) : count);
  const bytes = caller.copyIn(address, length);
  if (bytes === undefined) return -Errno.EFAULT;
  caller.cpu.host.console?.(bytes);
  if (BigInt(length) === count) return 0;
  caller.args[1] = count - BigInt(length);
  caller.args[2] = address + BigInt(length);
  return "continue";
}
