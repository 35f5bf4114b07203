/** Every operation that is refused is refused with its error, whatever its arguments. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Errno } from "../../src/abi/errno.ts";
import * as events from "../../src/abi/event_channel.ts";
import { GNTTABOP } from "../../src/abi/grant_table.ts";
import { HVMOP } from "../../src/abi/hvm/hvm_op.ts";
import { XENMEM } from "../../src/abi/memory.ts";
import { SCHEDOP } from "../../src/abi/sched.ts";
import { VCPUOP } from "../../src/abi/vcpu.ts";
import { XENVER } from "../../src/abi/version.ts";
import { CONSOLEIO } from "../../src/abi/xen.ts";
import { hypercalls } from "../../src/hypervisor/hypercalls/index.ts";
import { Memory, Window } from "./layout.ts";
import { Machine } from "./machine.ts";

/** The numbers of sub-operations, by hypercall. */
const families: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  memory_op: XENMEM,
  xen_version: XENVER,
  console_io: CONSOLEIO,
  grant_table_op: GNTTABOP,
  vcpu_op: VCPUOP,
  sched_op: SCHEDOP,
  event_channel_op: events.EVTCHNOP,
  hvm_op: HVMOP,
};

const all = [...hypercalls].flatMap(([number, { name, operations }]) =>
  Object.entries(operations).map(([key, operation]) => ({
    number,
    name: `${name}.${key}`,
    family: name,
    key,
    operation,
  })),
);

for (const bits of [32, 64] as const) {
  test(`refused: with its error, whatever the arguments (${bits}-bit)`, () => {
    using machine = new Machine();
    const guest = machine.guest({ bits });
    let refused = 0;
    for (const { number, name, family, key, operation } of all) {
      if (operation.kind !== "refused") continue;
      refused++;
      const command = families[family]?.[key];
      assert.ok(command !== undefined, name);
      for (const pointer of [0, Memory.data, Window.absent, Window.hole, -1n]) {
        const args = family === "vcpu_op" || family === "console_io" ? [0, pointer] : [pointer, 1];
        assert.equal(guest.call(number, command, ...args), -operation.errno, `${name} ${pointer}`);
      }
    }
    assert.ok(refused > 20);
  });

  test(`refused: sub-operations that no header has are -ENOSYS (${bits}-bit)`, () => {
    using machine = new Machine();
    const guest = machine.guest({ bits });
    for (const [number, { name, operations }] of hypercalls) {
      if (Object.keys(operations).length === 0) continue;
      const known = new Set(Object.values(families[name] ?? {}));
      for (const command of [40, 63, ...(name === "memory_op" ? [] : [64, 0x7fffffff, 0x80000000, 0xffffffff])]) {
        assert.ok(!known.has(command));
        for (const pointer of [0, Memory.data, Window.absent]) {
          const args = name === "vcpu_op" || name === "console_io" ? [0, pointer] : [pointer, 1];
          assert.equal(guest.call(number, command, ...args), -Errno.ENOSYS, `${name} ${command}`);
        }
      }
    }
  });
}
