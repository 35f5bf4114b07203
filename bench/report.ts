/** Tables for people. */

import { verdicts } from "./results.ts";
import type { Comparison, Figure } from "./results.ts";

const number = (value: number | undefined, digits = 3): string =>
  value === undefined ? "–" : value.toPrecision(digits);

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |\n`;
  const widths = header.map((name, column) => Math.max(name.length, ...rows.map((row) => (row[column] ?? "").length)));
  const padded = (cells: readonly string[]): string => line(cells.map((cell, column) => cell.padEnd(widths[column]!)));
  return padded(header) + line(widths.map((width) => "-".repeat(width))) + rows.map(padded).join("");
}

/** Seconds of every peer, and ratios: steady runs beside first ones. In Markdown. */
export function ratioTable(rows: readonly Comparison[], peers: readonly string[]): string {
  const body = rows.map((row) => [
    row.benchmark,
    row.phase,
    ...peers.map((peer) => number(row.seconds[peer])),
    number(row.againstTcg),
    number(row.againstV86),
    number(row.tcgSlowDown),
    row.void === undefined ? "" : `void: ${row.void}`,
  ]);
  return table(["program", "run", ...peers.map((peer) => `${peer} s`), "× TCG", "× v86", "TCG / native", ""], body);
}

/** The means against what the project wants of them. */
export function verdictTable(rows: readonly Comparison[]): string {
  const body = verdicts(rows).map(({ figure, value, target, limit, better, of, void: voids }) => {
    const meets = (bound: number): boolean => (better === "more" ? value >= bound : value <= bound);
    const sign = better === "more" ? "≥" : "≤";
    const outcome = meets(target) ? "target met" : meets(limit) ? "done, target missed" : "not done";
    return [figure, number(value), `${sign} ${target}`, `${sign} ${limit}`, outcome, `${voids} of ${of}`];
  });
  return table(["figure", "measured", "target", "limit", "", "void references"], body);
}

/** What Xenolith's counters say of each program: per round, and in millions a second. */
export function counterTable(figures: readonly Figure[]): string {
  const body = figures.flatMap(({ benchmark, phase, peer, seconds, elapsed, rounds, counters }) => {
    const instructions = counters?.["instructions"];
    if (peer !== "xenolith" || counters === undefined || instructions === undefined) return [];
    const each = (value = 0): string => number(value / rounds, 4);
    const mips = (instructions / (elapsed ?? seconds) / 1e6).toFixed(0);
    const translated = counters["translated"];
    const share = translated === undefined ? "–" : ((translated / instructions) * 100).toFixed(1);
    return [[benchmark, phase, mips, share, each(instructions), each(counters["transitions"]), String(rounds)]];
  });
  const header = ["program", "run", "MIPS", "% translated", "instructions/round", "transitions/round", "rounds"];
  return table(header, body);
}
