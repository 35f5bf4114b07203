/** What the user chose: `npm run bench -- [--peers LIST | --no-peers] [--cpus LIST] [--runs N] [--scale X] [--timeout S] [NAME…]`. */

import { parseArgs } from "node:util";
import { bestProcessor } from "./peers/qemu.ts";

/** Options, of which each has an environment variable too. */
export interface Options {
  readonly names: readonly string[];
  /** Peers beside Xenolith: undefined for all that there are. */
  readonly peers: readonly string[] | undefined;
  /** QEMU's processor models, with semicolons between them: each is a peer with and without mitigations. */
  readonly processors: readonly string[];
  readonly runs: number;
  readonly scale: number;
  readonly timeoutSeconds: number;
  /** Added to the kernel's command line. */
  readonly append: string;
}

/** @throws Error on an unknown option or a number that is none. */
export function options(args: readonly string[], environment: NodeJS.ProcessEnv): Options {
  const text = { type: "string" } as const;
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      peers: text,
      cpus: text,
      "no-peers": { type: "boolean" },
      runs: text,
      scale: text,
      timeout: text,
      append: text,
    },
  });
  const number = (name: "runs" | "scale" | "timeout", otherwise: number): number => {
    const given = values[name] ?? environment[`BENCH_${name.toUpperCase()}`];
    const value = given === undefined ? otherwise : Number(given);
    if (!(value > 0)) throw new Error(`--${name} ${given}: not a number above zero`);
    return value;
  };
  const peers = values["no-peers"] ? "" : (values.peers ?? environment["BENCH_PEERS"]);
  return {
    names: positionals,
    peers: peers?.split(",").filter((name) => name !== ""),
    processors: (values.cpus ?? environment["BENCH_CPUS"] ?? bestProcessor).split(";"),
    runs: Math.ceil(number("runs", 5)),
    scale: number("scale", 1),
    timeoutSeconds: number("timeout", 180),
    append: values.append ?? environment["BENCH_APPEND"] ?? "",
  };
}
