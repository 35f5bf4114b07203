/** What becomes a region, and how it is cut into blocks. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { randomFrom } from "../../../test/differential/values.ts";
import { theOpcodeMap } from "../wasm-engine.ts";
import type { FormDescription } from "../forms.ts";
import { ControlFlow, collect, formBlocks, regionLimit } from "./region.ts";
import type { RegionInstruction } from "./region.ts";

/** A form of an instruction of that name: nothing but the flow of control of its row matters here. */
function formOf(mnemonic: string): FormDescription {
  const row = theOpcodeMap().rows.find(({ instruction }) => instruction.mnemonic === mnemonic)!;
  return { row } as FormDescription;
}
const forms = new Map(["nop", "jcc", "jmp", "call", "ret"].map((name) => [name, formOf(name)]));

/** Code of instructions of four bytes each from offset 0: `name`, or `name target`. */
function codeOf(...lines: readonly string[]): Map<number, RegionInstruction> {
  return new Map(
    lines.map((line, index) => {
      const [name = "", target] = line.split(" ");
      const offset = index * 4;
      const to = target === undefined ? undefined : Number(target) * 4;
      return [offset, { record: index, offset, next: offset + 4, form: forms.get(name)!, target: to, untaken: false }];
    }),
  );
}

/** Collects from the first instruction; everything behind a call has a head, with its offset as address. */
function collected(code: ReadonlyMap<number, RegionInstruction>, taken: readonly number[] = []) {
  return collect(
    {
      find: (offset) => code.get(offset),
      freeHead: (offset) => (code.has(offset) && !taken.includes(offset) ? 1000 + offset : undefined),
    },
    { offset: 0, head: 1000 },
  );
}
const sorted = (numbers: Iterable<number>) => [...numbers].toSorted((a, b) => a - b);

test("region: what is reached by branches and by going on is in it, and nothing else", () => {
  const { instructions, entries } = collected(codeOf("nop", "jcc 3", "jmp 4", "nop", "jmp 0", "nop"));
  assert.deepEqual(sorted(instructions.keys()), [0, 4, 8, 12, 16]);
  assert.deepEqual([...entries], [[0, 1000]]);
});

test("region: what is behind a call is entered by the return, if nobody else has it", () => {
  const code = codeOf("call 4", "nop", "ret", "nop", "nop", "ret");
  const free = collected(code);
  assert.deepEqual(sorted(free.instructions.keys()), [0, 4, 8, 16, 20]);
  assert.deepEqual([...free.entries], [[0, 1000], [4, 1004]]); // prettier-ignore
  assert.deepEqual([...collected(code, [4]).entries], [[0, 1000]]);
});

test("region: it ends where code has not been decoded, and at its limit", () => {
  const code = codeOf("nop", "jcc 9", "nop");
  const { instructions, leaders } = collected(code);
  assert.deepEqual(sorted(instructions.keys()), [0, 4, 8]);
  const blocks = formBlocks(instructions, leaders);
  assert.deepEqual(sorted(blocks.keys()), [0]);
  assert.equal(blocks.get(0)!.next, 12);
  const long = collected(codeOf(...Array.from({ length: regionLimit + 50 }, () => "nop")));
  assert.equal(long.instructions.size, regionLimit);
});

test("region: blocks are cut where branches lead, and only there", () => {
  const code = codeOf("nop", "nop", "jcc 1", "nop", "jmp 3");
  const { instructions, leaders } = collected(code);
  const blocks = formBlocks(instructions, leaders);
  const shown = [...blocks].map(([offset, { instructions: within, next }]) => [offset, within.length, next]);
  assert.deepEqual(shown.toSorted((a, b) => a[0]! - b[0]!), [[0, 1, 4], [4, 2, 12], [12, 2, undefined]]); // prettier-ignore
});

test("region: a return leads to where the region's own calls return to", () => {
  const code = codeOf("call 4", "nop", "jmp 1", "nop", "nop", "ret");
  const { instructions, leaders, entries } = collected(code);
  const blocks = formBlocks(instructions, leaders);
  const flow = new ControlFlow({ mode: 2, blocks, entries: [...entries.keys()], pages: [0] });
  assert.deepEqual(flow.successors.get(16), [4]);
  assert.deepEqual(flow.successors.get(0), [16]);
});

test("region: in random code every instruction is in blocks that follow the code, with leaders at their beginnings alone", () => {
  const random = randomFrom(7);
  for (let each = 0; each < 500; each++) {
    const length = 2 + random.below(60);
    const names = ["nop", "nop", "nop", "jcc", "jcc", "jmp", "call", "ret"];
    const lines = Array.from({ length }, () => {
      const name = random.pick(names);
      return name === "nop" || name === "ret" ? name : `${name} ${random.below(length + 2)}`;
    });
    const code = codeOf(...lines);
    if (random.oneIn(3)) code.delete(4 * (1 + random.below(length - 1)));
    const { instructions, leaders, entries } = collected(code);
    const blocks = formBlocks(instructions, leaders);
    for (const entry of entries.keys()) assert.ok(blocks.has(entry), lines.join());
    const covered = new Set<number>();
    for (const [offset, block] of blocks) {
      let at = offset;
      for (const instruction of block.instructions) {
        assert.equal(instruction.offset, at);
        assert.ok(at === offset || !leaders.has(at), lines.join());
        covered.add(at);
        at = instruction.next;
      }
      const goesOn = block.instructions.at(-1)!.form.row.instruction.flow === "on";
      assert.equal(block.next, goesOn ? at : undefined);
    }
    assert.deepEqual(sorted(covered), sorted(instructions.keys()), lines.join());
  }
});
