import { seeded } from "../mutation.ts";
import type { Mutation } from "../mutation.ts";

const refusals = "src/hypervisor/refusals.test.ts";
const events = [refusals, "src/hypervisor/events.test.ts"];
const grants = [refusals, "src/hypervisor/grants.test.ts"];
const hypercalls = [refusals, "src/hypervisor/hypercalls.test.ts"];
const loop = [refusals, "src/hypervisor/vcpu-loop.test.ts"];
const platform = [refusals, "src/hypervisor/platform.test.ts"];

/** Bugs in hypercalls, event channels, grants and timers. */
export const hypervisor: readonly Mutation[] = [
  ...seeded("src/hypervisor/hypercall.ts", hypercalls, [
    ["user code may call the hypervisor", "if (vcpu.cpl !== 0 || (", "if ((vcpu.cpl !== 0 && vcpu.cpl !== 3) || ("],
    ["a result in 32-bit code has 64 bits", "const bits = compat ? 32 : 64;", "const bits = 64;"],
    [
      "an argument that cannot be read is zero",
      "if (before === undefined) return -Errno.EFAULT;\n    const value",
      "if (before === undefined) return 0;\n    const value",
    ],
  ]),
  ...seeded("src/hypervisor/hypercall.ts", events, [
    [
      "every domain may control every other",
      "return other.id === this.domain.id || this.domain.id === 0;",
      "return other.id >= 0;",
    ],
  ]),
  ...seeded("src/hypervisor/event-channels.ts", events, [
    [
      "a masked port interrupts",
      "if ((Atomics.load(words, (mask >> 2) + (port >> 5)) & bit) === 0) select2l(domain, port, upcall);",
      "select2l(domain, port, upcall);",
    ],
    [
      "unmasking forgets what waits",
      "if (Atomics.load(words, (pending >> 2) + (port >> 5)) & bit) select2l(domain, port, upcall);",
      "",
    ],
    ["the selector has one bit for 32 ports in 64-bit code", "wordBits: domain.compat ? 32 : 64,", "wordBits: 32,"],
    [
      "a guest is interrupted for each port of a word",
      "if ((before & bit) === 0) markEventsPending(domain, vcpu, upcall);",
      "markEventsPending(domain, vcpu, upcall);",
    ],
    [
      "FIFO: a masked event is queued",
      "if (Atomics.or(words, at, PENDING) & MASKED) return;",
      "Atomics.or(words, at, PENDING);",
    ],
    [
      "FIFO: an event is queued twice",
      "if (Atomics.or(words, at, LINKED) & LINKED) return;",
      "Atomics.or(words, at, LINKED);",
    ],
    [
      "FIFO: an event is not linked after the tail",
      "const linked = tail !== 0 && linkAfter(domain, words, tail, port);",
      "const linked = tail !== 0;",
    ],
    [
      "FIFO: the tail stays where it was",
      "domain.vcpuSet(vcpu, VCPU.queueTail + priority, port);\n  if (linked)",
      "if (linked)",
    ],
    [
      "FIFO: an event is linked after one that has left the queue",
      "if ((before & LINKED) === 0) {",
      "if (attempt === 5) {",
    ],
    ["FIFO: linking clears the tail's flags", "(before & ~(BUSY | EVTCHN_FIFO.LINK_MASK)) | port", "port"],
    [
      "FIFO: a port that changes queues takes its old queue's tail along",
      "if (domain.vcpuGet(old >> 8, at) === port) domain.vcpuSet(old >> 8, at, 0);",
      "",
    ],
    [
      "FIFO: a control block may reach beyond its page",
      "if (offset > XEN_PAGE_SIZE - evtchn_fifo_control_block.sizeof ||",
      "if (offset > XEN_PAGE_SIZE ||",
    ],
    [
      "FIFO: a vCPU's second control block replaces the first",
      "if (domain.vcpuGet(vcpu, VCPU.controlFrame) !== 0) return -Errno.EINVAL;",
      "",
    ],
    [
      "FIFO: what was pending before is lost",
      "setPortWord(domain, port, PORT.savedPending, isPending(domain, port) ? 1 : 0);",
      "setPortWord(domain, port, PORT.savedPending, 0);",
    ],
  ]),
  ...seeded("src/hypervisor/event-table.ts", events, [
    [
      "any domain may bind a port offered to another",
      "if (binding?.state !== EVTCHNSTAT.unbound || binding.remote !== domain.id) return -Errno.EINVAL;",
      "if (binding?.state !== EVTCHNSTAT.unbound) return -Errno.EINVAL;",
    ],
    [
      "a port may have the limit's number",
      "return port > 0 && port < domain.get(DOMAIN.portLimit);",
      "return port > 0 && port <= domain.get(DOMAIN.portLimit);",
    ],
    ["port 0 is a port", "return port > 0 && port <", "return port >= 0 && port <"],
    [
      "a virtual interrupt of one vCPU can be bound twice",
      "if (domain.vcpuGet(vcpu, VCPU.virqPort + virq) !== 0) return -Errno.EEXIST;",
      "",
    ],
    [
      "a virtual interrupt beyond the last is bound",
      "if (virq >= NR_VIRQS) return -Errno.EINVAL;",
      "if (virq > NR_VIRQS) return -Errno.EINVAL;",
    ],
    [
      "closing one end leaves the other bound",
      "if (remote !== undefined && joined) {",
      "if (remote === undefined && joined) {",
    ],
    [
      "a closed port leaves its virtual interrupt bound",
      "if (domain.vcpuGet(vcpu, at) === port) domain.vcpuSet(vcpu, at, 0);",
      "",
    ],
    ["a port that is bound is not told of what was sent before", "if (result > 0) raise(domain, result);", ""],
  ]),
  ...seeded("src/hypervisor/hypercalls/event_channel_op.ts", events, [
    [
      "alloc_unbound works on others' tables",
      "if (!caller.mayControl(domain)) return -Errno.EPERM;\n  const remote",
      "const remote",
    ],
    [
      "reset works on other domains",
      "if (!caller.mayControl(domain)) return -Errno.EPERM;\n  closeAllPorts",
      "closeAllPorts",
    ],
    [
      "bind_ipi takes the number of vCPUs for a vCPU",
      "if (op.vcpu >= caller.domain.vcpus) return -Errno.ENOENT;\n  const port = allocatePort",
      "if (op.vcpu > caller.domain.vcpus) return -Errno.ENOENT;\n  const port = allocatePort",
    ],
    ["a priority beyond the lowest is taken", "if (op.priority > EVTCHN_FIFO.PRIORITY_MIN) return -Errno.EINVAL;", ""],
    ["a per-vCPU virtual interrupt can be moved", "if (virqIsPerVcpu(binding.virq)) return -Errno.EINVAL;", ""],
  ]),
  ...seeded("src/hypervisor/grant-table.ts", grants, [
    [
      "a page granted to one domain can be mapped by others",
      "(flags & GTF.type_mask) !== GTF.permit_access || header >>> 16 !== by",
      "(flags & GTF.type_mask) !== GTF.permit_access",
    ],
    ["a read-only grant can be written", 'return access === "read" || (flags & GTF.readonly) === 0;', "return true;"],
    [
      "a reference beyond the table is looked up",
      "if (ref >= grantEntries(granter)) return GNTST.bad_gntref;",
      "if (ref > grantEntries(granter)) return GNTST.bad_gntref;",
    ],
    [
      "a grant in use by one domain is another's too",
      "if (pins !== 0 && pinWord(granter, ref, GRANT.domain) !== by) return GNTST.general_error;",
      "",
    ],
    [
      "a mapped grant does not say so",
      "if (Atomics.compareExchange(header, 0, before, before | marks) === before) return GNTST.okay;",
      "return GNTST.okay;",
    ],
    ["the last reader leaves its mark", "unmarkEntry(granter, ref, GTF.reading);", ""],
    ["a grant in use follows the guest's new entry", "if (pins === 0) {\n      gfn", "if (pins >= 0) {\n      gfn"],
    [
      "the table may grow by a frame more than its limit",
      "if (frames > domain.get(DOMAIN.maxGrantFrames)) return false;",
      "if (frames > domain.get(DOMAIN.maxGrantFrames) + 1) return false;",
    ],
    ["the version changes while entries are in use", 'if (pinsOf(domain, ref) !== 0) return "in use";', ""],
    [
      "entries in use are exchanged",
      "if (pinsOf(domain, a) !== 0 || pinsOf(domain, b) !== 0) return GNTST.eagain;",
      "",
    ],
  ]),
  ...seeded("src/hypervisor/hypercalls/grant_table_op.ts", grants, [
    [
      "a copy may pass its page's end",
      "if (pointer.offset + length > XEN_PAGE_SIZE) return GNTST.bad_copy_arg;",
      "if (pointer.offset > XEN_PAGE_SIZE) return GNTST.bad_copy_arg;",
    ],
    [
      "frames of other domains' tables are told",
      "else if (domain !== caller.domain) op.status = GNTST.permission_denied;\n  else if (!growGrantTable",
      "else if (!growGrantTable",
    ],
    [
      "a long list begins anew when it is interrupted",
      "caller.args[1] = address + BigInt(until * codec.sizeof);",
      "caller.args[1] = address;",
    ],
  ]),
  ...seeded("src/hypervisor/hypercalls/hvm_op.ts", hypercalls, [
    ["a guest may set the toolstack's parameters", "if (!SETTABLE.has(op.index)) return -Errno.EPERM;", ""],
    ["a guest may read every parameter", "if (!READABLE.has(op.index)) return -Errno.EPERM;", ""],
    ["an upcall vector may be an exception's", "if (op.vector < 0x10) return -Errno.EINVAL;", ""],
  ]),
  ...seeded("src/hypervisor/hypercalls/vcpu_op.ts", hypercalls, [
    [
      "a vCPU sets another's periodic timer",
      "if (target(caller) !== caller.vcpu) return -Errno.EINVAL;\n  if (op.period_ns",
      "if (op.period_ns",
    ],
    [
      "a period of less than a millisecond is taken",
      "if (op.period_ns < MIN_PERIOD || op.period_ns > MAX_PERIOD) return -Errno.EINVAL;",
      "",
    ],
    [
      "a vCPU that does not exist is operated on",
      "target(caller) >= caller.domain.vcpus",
      "target(caller) > caller.domain.vcpus",
    ],
  ]),
  ...seeded("src/hypervisor/hypercalls/sched_op.ts", loop, [
    ["a poll of too many ports is taken", "if (op.nr_ports > MAX_POLL_PORTS) return -Errno.EINVAL;", ""],
    [
      "a vCPU sleeps over an event that is there",
      "if (!upcallPending(caller.domain, caller.vcpu)) caller.cpu.blocked = true;",
      "caller.cpu.blocked = true;",
    ],
    [
      "the last of several latched reasons counts",
      "if (caller.domain.get(DOMAIN.shutdownCode) === 0) caller.domain",
      "caller.domain",
    ],
  ]),
  ...seeded("src/hypervisor/timers.ts", platform, [
    ["a timer that is due now is not", "if (this.singleshot <= now) {", "if (this.singleshot < now) {"],
    [
      "each missed period is an event of its own",
      "this.#nextPeriod += Math.ceil((now - this.#nextPeriod + 1) / this.#period) * this.#period;",
      "this.#nextPeriod += this.#period;",
    ],
    [
      "a removed watchdog can still be poked",
      "if ((this.#watchdogs[id - 1] ?? Infinity) === Infinity) return false;",
      "",
    ],
  ]),
  ...seeded("src/hypervisor/hypercalls/misc.ts", hypercalls, [
    [
      "set_timer_op of 0 fires at once",
      "if (timeout === 0) timers.singleshot = Infinity;",
      "if (timeout < 0) timers.singleshot = Infinity;",
    ],
    ["32-bit code's set_timer_op drops the upper half", "caller.compat ? (high << 32n) | low : low", "low + 0n * high"],
  ]),
];
