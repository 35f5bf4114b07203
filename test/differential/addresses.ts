/** Chooses how a memory operand is addressed, and sets the registers so that the address comes out right. */
import { defaultSelectors } from "./cases.ts";
import type { Draft, MemoryOperand } from "./draft.ts";
import { PAIRS_16, type Address } from "./encode.ts";
import { integer } from "./values.ts";
import { CODE, DESCRIPTORS, WINDOW, ldtSelector } from "./wire.ts";

const Prefix = { es: 0x26, cs: 0x2e, ss: 0x36, ds: 0x3e, fs: 0x64, gs: 0x65 } as const;

/** Fills in `parts.address`. The displacement of a RIP-relative one is still counted from the code page's start. */
export function chooseAddress(draft: Draft, operand: MemoryOperand): void {
  const { random, form } = draft;
  const { mode } = form;
  let size: 16 | 32 | 64 = mode;
  if (random.oneIn(8)) size = mode === 64 ? 32 : mode === 32 ? 16 : 32;
  const { segment, base: segmentBase } = chooseSegment(draft, operand, size);
  const target = BigInt(WINDOW + operand.offset) - segmentBase;
  if (size === 16) draft.parts.address = address16(draft, target, segment);
  else if (mode === 64 && random.oneIn(8))
    draft.parts.address = relative(size, segment, BigInt.asIntN(64, target) - BigInt(CODE));
  else draft.parts.address = based(draft, target, size, segment);
}

/** An override now and then. In 16-bit mode all segments but CS begin a page below the window. */
function chooseSegment(
  draft: Draft,
  { offset }: MemoryOperand,
  size: 16 | 32 | 64,
): { segment: number | undefined; base: bigint } {
  const { random, form } = draft;
  const { mode } = form;
  if (mode === 64) {
    if (random.oneIn(12)) return { segment: random.pick([Prefix.es, Prefix.cs, Prefix.ss, Prefix.ds]), base: 0n };
    if (!random.oneIn(8)) return { segment: undefined, base: 0n };
    const base = BigInt(WINDOW - 0x1000 * random.below(0x800));
    draft.bases = random.oneIn(2) ? [base, 0x5000n] : [0x5000n, base];
    return { segment: draft.bases[0] === base ? Prefix.fs : Prefix.gs, base };
  }
  const { fs, ds } = draft.selectors!;
  const based = BigInt(WINDOW - 0x1000);
  const flat = mode === 16 ? based : 0n;
  const special = DESCRIPTORS[ds >> 3];
  if ((ds & 4) !== 0 && ds !== ldtSelector(1) && special !== undefined)
    return { segment: Prefix.ds, base: BigInt(special.base) };
  if (fs !== ldtSelector(2)) return { segment: undefined, base: flat };
  if (draft.selectors!.ss !== defaultSelectors(mode)!.ss) return { segment: Prefix.fs, base: based };
  if (size === 16 && mode === 32) return { segment: Prefix.fs, base: based };
  if (random.oneIn(8)) return { segment: Prefix.fs, base: based };
  if (random.oneIn(8)) return { segment: Prefix.gs, base: BigInt(WINDOW) };
  if (random.oneIn(8)) return { segment: random.pick([Prefix.es, Prefix.ss, Prefix.ds]), base: flat };
  // What lies right behind the code differs between the machines.
  if (random.oneIn(12) && (mode === 32 || offset >= 0x200))
    return { segment: Prefix.cs, base: mode === 16 ? BigInt(CODE) : 0n };
  return { segment: undefined, base: flat };
}

function relative(size: 16 | 32 | 64, segment: number | undefined, displacement: bigint): Address {
  return {
    size,
    base: undefined,
    index: undefined,
    scale: 1,
    displacement,
    displacementSize: 4,
    ripRelative: true,
    segment,
  };
}

/** Writes the low bits of a register as wide as addresses are; above them may be anything in 64-bit mode. */
function setAddressRegister(draft: Draft, number: number, value: bigint, size: 16 | 32 | 64): void {
  const width = draft.form.mode === 64 ? 64 : 32;
  const above = size === width ? 0n : (integer(draft.random) >> BigInt(size)) << BigInt(size);
  draft.gpr[number] = BigInt.asUintN(width, above | BigInt.asUintN(size, value));
}

function address16(draft: Draft, target: bigint, segment: number | undefined): Address {
  const { random, gpr, keep } = draft;
  const free = PAIRS_16.filter(([base]) => !keep.has(base));
  if (free.length === 0 || random.oneIn(8))
    return {
      size: 16,
      base: undefined,
      index: undefined,
      scale: 1,
      displacement: target,
      displacementSize: 2,
      ripRelative: false,
      segment,
    };
  const [base, index] = random.pick(free);
  const bare = base === 5 && index === undefined;
  const displacementSize = random.pick(bare ? ([1, 2] as const) : ([0, 1, 2] as const));
  const displacement = randomDisplacement(draft, displacementSize);
  const indexed = index === undefined ? 0n : gpr[index]!;
  setAddressRegister(draft, base, target - displacement - indexed, 16);
  return { size: 16, base, index, scale: 1, displacement, displacementSize, ripRelative: false, segment };
}

function randomDisplacement({ random }: Draft, size: 0 | 1 | 2 | 4): bigint {
  return size === 0 ? 0n : BigInt.asIntN(8 * size, integer(random));
}

function based(draft: Draft, target: bigint, size: 32 | 64, segment: number | undefined): Address {
  const { random, gpr, keep, form } = draft;
  const registers = form.mode === 64 ? 16 : 8;
  const scale = random.pick([1, 2, 4, 8] as const);
  let index = random.oneIn(2) ? random.below(registers) : undefined;
  if (index === 4) index = undefined;
  if (random.oneIn(10)) {
    // Absolute, or a scaled index alone: the displacement makes up for it, sign-extended in 64-bit mode.
    if (index !== undefined && (keep.has(index) || index === 4)) index = undefined;
    if (index !== undefined) gpr[index] = BigInt(random.below(0x1000));
    const displacement = target - (index === undefined ? 0n : gpr[index]! * BigInt(scale));
    return { size, base: undefined, index, scale, displacement, displacementSize: 4, ripRelative: false, segment };
  }
  let base = random.below(registers);
  while (base !== 4 && (keep.has(base) || base === index)) base = (base + 1) % registers;
  if (base === 4) {
    const displacement = target - gpr[4]!;
    return { size, base, index: undefined, scale, displacement, displacementSize: 4, ripRelative: false, segment };
  }
  const displacementSize = (base & 7) === 5 ? random.pick([1, 4] as const) : random.pick([0, 1, 4] as const);
  const displacement = randomDisplacement(draft, displacementSize);
  const indexed = index === undefined ? 0n : gpr[index]! * BigInt(scale);
  setAddressRegister(draft, base, target - displacement - indexed, size);
  return { size, base, index, scale, displacement, displacementSize, ripRelative: false, segment };
}
