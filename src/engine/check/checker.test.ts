import assert from "node:assert/strict";
import { test } from "node:test";
import { Exit, Layout, checkAll, createMachine, hex } from "../../../test/engine-harness.ts";
import { attentionOf } from "../domain-memory.ts";
import type { Platform } from "../engine.ts";
import { RecordField, recordBytes } from "../record.ts";
import { localTranslation } from "../translate/local-translation.ts";
import type { TranslationService } from "../translate/translator.ts";
import { TierDifference } from "./options.ts";

/** Translates other instructions than there are: `tamper` changes the copy of the record of the one at an offset. */
function tampering(offset: number, tamper: (view: DataView, record: number) => void): TranslationService {
  const service = localTranslation();
  return {
    submit(job) {
      const regions = job.regions.map((region) => {
        const records = region.records.slice();
        const view = new DataView(records.buffer);
        for (let record = 0; record < records.length; record += recordBytes)
          if (view.getUint16(record + RecordField.start, true) === offset) tamper(view, record);
        return { ...region, records };
      });
      service.submit({ ...job, regions });
    },
    poll: () => service.poll(),
  };
}

const data = Layout.free + 0x4000;

function machineWith(code: string, translator = localTranslation(), platform: Partial<Platform> = {}) {
  const machine = createMachine("long", 0, platform, 1, { check: checkAll, translator });
  for (const page of [Layout.free, data, data + 0x1000]) machine.map(BigInt(page), page, 3n);
  machine.load(Layout.free, hex(code));
  const context = machine.context();
  context.rip = BigInt(Layout.free);
  context.gpr[1] = 10n;
  context.gpr[3] = BigInt(data);
  context.gpr[4] = BigInt(data + 0x800);
  machine.vcpu.setContext(context);
  return machine;
}

// add eax, 7; mov [rbx + 4], eax; lock add [rbx], ecx; dec ecx; jnz; hlt
const loop = "83c007 894304 f0010b ffc9 75f3 f4";

test("check: a loop that is right is run as if nobody looked", () => {
  const machine = machineWith(loop);
  machine.run();
  assert.equal(machine.vcpu.gpr(0), 70n);
  assert.deepEqual([machine.ram.getUint32(data, true), machine.ram.getUint32(data + 4, true)], [55, 70]);
  const { entries, instructions } = machine.vcpu.checks!;
  assert.ok(entries > 0 && instructions >= 45, `${entries} entries, ${instructions} instructions`);
  assert.equal(machine.vcpu.retired, 51);
});

const wrong: readonly [
  what: string,
  offset: number,
  tamper: (view: DataView, record: number) => void,
  found: RegExp,
][] = [
  [
    "a constant",
    0,
    (view, record) => view.setBigInt64(record + RecordField.immediate, 8n, true),
    /rax: region [0-9a-f]+, interpreter [0-9a-f]+\n(?:.*\n)*.*memory [0-9a-f]+: before/,
  ],
  [
    "a place in memory",
    3,
    (view, record) => view.setInt32(record + RecordField.displacement, 8, true),
    /memory [0-9a-f]+08: before 00, region [0-9a-f]{2}, interpreter 00/,
  ],
  [
    "the target of a branch",
    11,
    (view, record) => view.setBigInt64(record + RecordField.immediate, 3n, true),
    /rip: region 100003, interpreter 100000/,
  ],
  [
    "an instruction's length",
    9,
    (view, record) => view.setUint16(record + RecordField.next, 13, true),
    /they ended differently|rcx: region/,
  ],
];

for (const [what, offset, tamper, found] of wrong) {
  test(`check: a region with ${what} changed is found`, () => {
    const machine = machineWith(loop, tampering(offset, tamper));
    assert.throws(
      () => machine.run(),
      (error: unknown) => {
        assert.ok(error instanceof TierDifference);
        assert.match(error.message, found);
        // The listing, with bytes and marks; and what it is made of.
        assert.match(error.message, /\* 100000 83c007 +add/);
        assert.match(error.message, /flags\.add/);
        return true;
      },
    );
  });
}

test("check: what is read before it is written to is taken back too", () => {
  // L: mov eax, [rbx]; inc eax; mov [rbx], eax; dec ecx; jnz L; hlt
  const machine = machineWith("8b03 ffc0 8903 ffc9 75f6 f4");
  machine.run();
  assert.equal(machine.ram.getUint32(data, true), 10);
});

test("check: a region that does not write what the interpreter writes is found", () => {
  // mov [rbx], ecx; hlt — and the region writes to another page
  const elsewhere = tampering(0, (view, record) => view.setInt32(record + RecordField.displacement, 0x1000, true));
  assert.throws(() => machineWith("890b f4", elsewhere).run(), /interpreter 0a/);
});

test("check: a region that gives up in the midst of a block is compared up to there", () => {
  // lea rbx, [rip + 0x800]; inc eax; mov [rbx], al — a page with code; hlt
  const machine = machineWith("488d1d00080000 ffc0 8803 f4");
  machine.run();
  assert.equal(machine.ram.getUint8(Layout.free + 0x807), 1);
  // Two, and HLT, which is translated anew.
  assert.equal(machine.vcpu.checks!.instructions, 3);
});

test("check: flags alone are a difference", () => {
  // cmp eax, 7; hlt
  const other = tampering(0, (view, record) => view.setBigInt64(record + RecordField.immediate, 9n, true));
  assert.throws(() => machineWith("83f807 f4", other).run(), /\n {2}rflags: region 93, interpreter 97\n(?! {2}\w)/);
});

test("check: attention that is asked for in a region ends the run", () => {
  let ask = (): void => {};
  // L: out 0x80, al; jmp L
  const machine = machineWith("e680 ebfc", localTranslation(), { portOut: () => ask() });
  const attention = attentionOf(machine.memory.memory, 0);
  ask = () => attention.request();
  assert.equal(machine.run(1_000_000).exit, Exit.budget);
  assert.ok(attention.take() && machine.vcpu.retired < 100);
});

test("check: the platform is asked once, and gives both the same answer", () => {
  let answers = 0;
  const written: number[] = [];
  // L: in al, dx; out 0x80, al; rdtsc; dec ecx; jnz L; hlt
  const machine = machineWith("ec e680 0f31 ffc9 75f7 f4", localTranslation(), {
    portIn: () => (answers += 1),
    portOut: (_, __, value) => void written.push(value),
    timestamp: () => answers * 1000,
  });
  machine.run();
  assert.deepEqual(written, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  assert.ok(machine.vcpu.checks!.entries > 0);
});

test("check: a write to a frame that others write to is left alone", () => {
  const machine = createMachine("long", 0, {}, 1, { check: { ...checkAll, isShared: () => true } });
  machine.map(BigInt(Layout.free), Layout.free, 3n);
  machine.map(BigInt(data), data, 3n);
  machine.load(Layout.free, hex(loop));
  const context = machine.context();
  [context.rip, context.gpr[1], context.gpr[3]] = [BigInt(Layout.free), 10n, BigInt(data)];
  machine.vcpu.setContext(context);
  machine.run();
  assert.equal(machine.vcpu.gpr(0), 70n);
  const { entries, shared } = machine.vcpu.checks!;
  assert.ok(entries === 0 && shared > 0);
});

test("check: only as many entries of a region are compared as were asked for", () => {
  const machine = createMachine("long", 0, {}, 1, { check: { first: 3, every: 4 } });
  machine.map(BigInt(Layout.free), Layout.free, 3n);
  // L: call F; dec ecx; jnz L; hlt; F: ret — in another page, so that each call is an entry
  machine.map(BigInt(data), data, 3n);
  machine.load(Layout.free, hex("ffd3 ffc9 75fa f4"));
  machine.load(data, hex("c3"));
  const context = machine.context();
  [context.rip, context.gpr[1], context.gpr[3], context.gpr[4]] = [
    BigInt(Layout.free),
    41n,
    BigInt(data),
    BigInt(Layout.stackTop),
  ];
  machine.vcpu.setContext(context);
  machine.run();
  const { entries, regions } = machine.vcpu.checks!;
  assert.ok(
    regions >= 2 && entries > regions * 3 && entries < regions * 15,
    `${entries} entries of ${regions} regions`,
  );
});

test("check: regions that lead to each other are compared as one, some of the time", () => {
  const machine = createMachine("long", 0, {}, 1, { check: checkAll });
  // Jump caches know ring 0 in the upper half only.
  const [first, second] = [0xffff_8000_0010_0000n, 0xffff_8000_0020_0000n];
  machine.map(first, Layout.free, 3n);
  machine.map(second, data, 3n);
  machine.load(Layout.free, hex("ffd3 ffc9 75fa f4"));
  machine.load(data, hex("c3"));
  const context = machine.context();
  [context.rip, context.gpr[1], context.gpr[3], context.gpr[4]] = [first, 100_000n, second, BigInt(Layout.stackTop)];
  machine.vcpu.setContext(context);
  let longest = 0;
  for (let run = 0; run < 32; run++) {
    const before = { ...machine.vcpu.checks! };
    machine.run(1000);
    const { entries, instructions } = machine.vcpu.checks!;
    longest = Math.max(longest, (instructions - before.instructions) / (entries - before.entries));
    // Before the eighth run each is alone, and executes three instructions at most.
    if (run < 7) assert.ok(longest <= 3, `${longest} in run ${run}`);
  }
  assert.ok(longest > 100, `${longest} instructions a comparison`);
});
