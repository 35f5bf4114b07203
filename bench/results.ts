/** From samples to figures: medians, ratios, geometric means. */

import type { Sample } from "./measure.ts";
import type { Group, Program } from "./suite.ts";

/** A benchmark's times with one peer. */
export interface Figure {
  readonly benchmark: string;
  readonly peer: string;
  readonly phase: Sample["phase"];
  /** Median, by the host's clock. */
  readonly seconds: number;
  readonly least: number;
  readonly most: number;
  readonly runs: number;
  readonly rounds: number;
  /** Of the run that is the median. */
  readonly guestSeconds?: number;
  readonly elapsed?: number;
  readonly counters?: Readonly<Record<string, number>>;
}

/** Whether a peer is one of QEMU's runs: it is judged by the fastest. */
const isTcg = (peer: string): boolean => peer.startsWith("qemu");

/** The lower one of two in the middle: a value that was measured. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) / 2)] ?? Number.NaN;
}

/** NaN for none. */
export function geometricMean(values: readonly number[]): number {
  return values.length === 0
    ? Number.NaN
    : Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

/** One figure for each benchmark, peer and phase, in the order of their first samples. */
export function figures(samples: readonly Sample[]): Figure[] {
  const groups = Map.groupBy(samples, ({ benchmark, peer, phase }) => `${benchmark} ${peer} ${phase}`);
  return [...groups.values()].map((group) => {
    const times = group.map(({ seconds }) => seconds);
    const middle = group.find(({ seconds }) => seconds === median(times))!;
    return { ...middle, least: Math.min(...times), most: Math.max(...times), runs: times.length };
  });
}

/** A benchmark of all peers: times in seconds, ratios as "so many times as fast as". */
export interface Comparison {
  readonly benchmark: string;
  readonly group: Group | "boot";
  readonly phase: Sample["phase"];
  readonly seconds: Readonly<Record<string, number>>;
  /** Xenolith's speed as a multiple of the fastest of QEMU's runs, and of v86's. */
  readonly againstTcg: number | undefined;
  readonly againstV86: number | undefined;
  /** The fastest of QEMU's runs against the host's processor. */
  readonly tcgSlowDown: number | undefined;
  /** Why the reference run cannot be judged by. */
  readonly void: string | undefined;
}

/** How far from its earlier measurements a reference may be. */
const TOLERANCE = 0.3;

/** @param expectedBoot TCG's seconds to boot. */
export function compare(all: readonly Figure[], programs: readonly Program[], expectedBoot: number): Comparison[] {
  const rows: Comparison[] = [];
  const subjects = [{ name: "boot" as const }, ...programs];
  for (const subject of subjects) {
    for (const phase of ["first", "steady"] as const) {
      const own = all.filter((figure) => figure.benchmark === subject.name && figure.phase === phase);
      if (own.every(({ peer }) => peer === "native")) continue;
      const seconds = Object.fromEntries(own.map((figure) => [figure.peer, figure.seconds]));
      const ours = seconds["xenolith"];
      const tcg = own.filter(({ peer }) => isTcg(peer)).map((figure) => figure.seconds);
      const faster = tcg.length === 0 ? undefined : Math.min(...tcg);
      const host = all.find(({ benchmark, peer }) => benchmark === subject.name && peer === "native")?.seconds;
      const slowDown = faster === undefined || host === undefined ? undefined : faster / host;
      const ratio = (other: number | undefined): number | undefined =>
        ours === undefined || other === undefined ? undefined : other / ours;
      const [expected, measured] = "rounds" in subject ? [subject.tcgSlowDown, slowDown] : [expectedBoot, faster];
      rows.push({
        benchmark: subject.name,
        group: "rounds" in subject ? subject.group : "boot",
        phase,
        seconds,
        againstTcg: ratio(faster),
        againstV86: ratio(seconds["v86"]),
        tcgSlowDown: slowDown,
        void: phase === "first" && subject.name !== "boot" ? undefined : voidBecause(expected, measured),
      });
    }
  }
  return rows;
}

function voidBecause(expected: number | undefined, measured: number | undefined): string | undefined {
  if (expected === undefined || measured === undefined) return undefined;
  if (measured <= expected * (1 + TOLERANCE) && measured >= expected * (1 - TOLERANCE)) return undefined;
  return `reference ${measured.toPrecision(2)}, not ${expected} ± ${TOLERANCE * 100} %`;
}

/** A line of the summary: what is demanded of it, and what came out. */
export interface Verdict {
  readonly figure: string;
  readonly value: number;
  readonly target: number;
  /** Missing this, it is not done. */
  readonly limit: number;
  /** Which way is better. */
  readonly better: "more" | "less";
  /** How many figures are in it, and how many of them stand on a reference that is void. */
  readonly of: number;
  readonly void: number;
}

/** The means that the project has set itself, of steady runs. What is void counts as all else does, and is told. */
export function verdicts(rows: readonly Comparison[]): Verdict[] {
  const steady = rows.filter(({ phase, group }) => phase === "steady" && group !== "boot");
  const systems = steady.filter(({ group }) => group === "systems");
  const floating = steady.filter(({ group }) => group === "floating-point");
  const boots = rows.filter(({ benchmark }) => benchmark === "boot");
  const verdict = (
    figure: string,
    of: readonly Comparison[],
    peer: "againstTcg" | "againstV86",
    [target, limit]: readonly [number, number],
    mean: (values: readonly number[]) => number = geometricMean,
    better: Verdict["better"] = "more",
  ): Verdict[] => {
    const counted = of.filter((row) => row[peer] !== undefined);
    if (counted.length === 0) return [];
    const value = mean(counted.map((row) => row[peer]!));
    const voids = peer === "againstTcg" ? counted.filter((row) => row.void !== undefined).length : 0;
    return [{ figure, value, target, limit, better, of: counted.length, void: voids }];
  };
  const smallest = (values: readonly number[]): number => Math.min(...values);
  const inverse = ([ratio = Number.NaN]: readonly number[]): number => 1 / ratio;
  return [
    ...verdict("all programs against TCG, geometric mean", steady, "againstTcg", [1.5, 1]),
    ...verdict("systems programs against TCG, geometric mean", systems, "againstTcg", [1.3, 1]),
    ...verdict("slowest single program against TCG", steady, "againstTcg", [0.8, 0.5], smallest),
    ...verdict("floating-point programs against TCG, geometric mean", floating, "againstTcg", [3, 2]),
    ...verdict("boot, multiple of TCG's time", boots, "againstTcg", [1.5, 2.5], inverse, "less"),
    ...verdict("all programs against v86, geometric mean", steady, "againstV86", [4, 2.5]),
  ];
}
