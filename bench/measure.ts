/** One run of everything: guests of all peers side by side, programs in turn, so that all meet the same machine. */

import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bootGuest } from "./guest/console.ts";
import type { BenchGuest } from "./guest/console.ts";
import type { Native } from "./peers/native.ts";
import type { GuestFiles, Peer } from "./peers/peer.ts";
import { isRight } from "./suite.ts";
import type { Program } from "./suite.ts";

/** A time that was measured once. */
export interface Sample {
  /** A program's name, or "boot"; "boot-warm" is a boot with the translations that one before it has left. */
  readonly benchmark: string;
  /** A peer's name, or "native". */
  readonly peer: string;
  /** A program's first execution in its guest, or a later one. */
  readonly phase: "first" | "steady";
  /** The figure. By the host's clock, unless the program measures itself. */
  readonly seconds: number;
  readonly rounds: number;
  /** From beginning to end, by the host's clock and by the guest's. */
  readonly elapsed?: number;
  readonly guestSeconds?: number;
  readonly counters?: Readonly<Record<string, number>>;
}

/** What is measured, and with what. */
export interface Plan {
  /** Which guest: booting the small one is a benchmark of its own. */
  readonly size: "small" | "large";
  readonly peers: readonly Peer[];
  readonly files: Readonly<Partial<Record<Peer["architecture"], GuestFiles>>>;
  readonly native: Native | undefined;
  readonly programs: readonly Program[];
  /** Multiplies every program's rounds. */
  readonly scale: number;
  readonly timeoutSeconds: number;
}

/** What else a run brings. */
export interface Listener {
  sample(sample: Sample): void;
  /** Something that went wrong: the run goes on without it. */
  failure(peer: string, benchmark: string, message: string): void;
  /** /sys/devices/system/cpu/vulnerabilities as the peer's guest shows it. */
  vulnerabilities(peer: string, text: string): void;
  /** Bytes of the peer's process in memory when all is done, and of them those of its largest mapping: the guest's RAM. */
  memory(peer: string, residentBytes: number, largestBytes: number): void;
}

/** How far a guest's clock may be off: its own line takes a while to the host as well. */
const CLOCK_SLACK_SECONDS = 0.1;
const CLOCK_TOLERANCE = 0.1;

/** The host's processor is so much faster that its runs are made longer. */
const NATIVE_FACTOR = 8;

/** Boots every peer's guest, runs every program twice in each, and ends them. @param turn rotates who is first. */
export async function measureOnce(plan: Plan, turn: number, listener: Listener): Promise<void> {
  const peers = plan.peers.map((_, index) => plan.peers[(index + turn) % plan.peers.length]!);
  await using guests = new AsyncDisposableStack();
  const running = new Map<Peer, BenchGuest>();
  for (const peer of peers) {
    const files = plan.files[peer.architecture];
    if (files === undefined) continue;
    try {
      if (plan.size === "small") await measureWarmBoot(peer, files, listener);
      const guest = guests.use(await bootGuest(peer, files));
      running.set(peer, guest);
      listener.sample({
        benchmark: plan.size === "small" ? "boot" : "boot-large",
        peer: peer.name,
        phase: "first",
        rounds: 1,
        seconds: guest.bootSeconds,
        counters: guest.bootCounters,
      });
      const shown = await guest.run("grep . /sys/devices/system/cpu/vulnerabilities/*", plan.timeoutSeconds);
      listener.vulnerabilities(peer.name, shown.output);
    } catch (error) {
      listener.failure(peer.name, "boot", messageOf(error));
    }
  }
  for (const program of plan.programs) {
    for (const peer of peers) {
      const guest = running.get(peer);
      if (guest === undefined) continue;
      try {
        for (const phase of ["first", "steady"] as const)
          await execute(plan, program, phase, peer.name, guest, listener);
      } catch (error) {
        listener.failure(peer.name, program.name, messageOf(error));
        running.delete(peer);
        await guest[Symbol.asyncDispose]();
      }
    }
    executeNatively(plan, program, listener);
  }
  if (plan.size === "large") return;
  for (const [peer, guest] of running) {
    const { resident, largest } = residentMemory(guest.processId);
    listener.memory(peer.name, resident, largest);
  }
}

/** Boots a guest twice with a cache of its own, and tells of the second time. */
async function measureWarmBoot(peer: Peer, files: GuestFiles, listener: Listener): Promise<void> {
  const { launchCached } = peer;
  if (launchCached === undefined) return;
  const directory = await mkdtemp(join(tmpdir(), "xenolith-bench-"));
  try {
    const cached: Peer = { ...peer, launch: (each) => launchCached(each, directory) };
    await (await bootGuest(cached, files))[Symbol.asyncDispose]();
    await using guest = await bootGuest(cached, files);
    const { bootSeconds: seconds, bootCounters: counters } = guest;
    listener.sample({ benchmark: "boot-warm", peer: peer.name, phase: "first", rounds: 1, seconds, counters });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function execute(
  plan: Plan,
  program: Program,
  phase: Sample["phase"],
  peer: string,
  guest: BenchGuest,
  listener: Listener,
): Promise<void> {
  const rounds = Math.max(1, Math.round(program.rounds * plan.scale));
  const result = await guest.run(program.command(rounds), plan.timeoutSeconds);
  if (result.status !== 0 || !isRight(program, rounds, result.output)) {
    listener.failure(
      peer,
      program.name,
      `status ${result.status}, printed ${JSON.stringify(result.output.slice(0, 300))}`,
    );
    return;
  }
  const { seconds: elapsed, guestSeconds, counters } = result;
  if (guestSeconds > 0 && Math.abs(guestSeconds - elapsed) > CLOCK_SLACK_SECONDS + elapsed * CLOCK_TOLERANCE) {
    listener.failure(peer, program.name, `took ${elapsed} s, but ${guestSeconds} s by the guest's clock`);
    return;
  }
  const seconds = program.seconds?.(result.output) ?? elapsed;
  if (Number.isFinite(seconds) && seconds > 0) {
    listener.sample({ benchmark: program.name, peer, phase, seconds, elapsed, guestSeconds, rounds, counters });
  } else {
    listener.failure(peer, program.name, `printed no figure: ${JSON.stringify(result.output.slice(0, 300))}`);
  }
}

function executeNatively({ native, scale }: Plan, program: Program, listener: Listener): void {
  if (native === undefined) return;
  const rounds = Math.max(1, Math.round(program.rounds * scale));
  const longer = rounds * NATIVE_FACTOR;
  const seconds = native.run(program.command(longer), (output) => isRight(program, longer, output));
  if (seconds === undefined) listener.failure("native", program.name, "failed");
  else {
    const each = seconds / NATIVE_FACTOR;
    listener.sample({ benchmark: program.name, peer: "native", phase: "steady", seconds: each, rounds });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Linux: Documentation/filesystems/proc.rst, smaps. Zeroes where there is no such file. */
function residentMemory(processId: number): { resident: number; largest: number } {
  let text = "";
  try {
    text = readFileSync(`/proc/${processId}/smaps`, "latin1");
  } catch {
    // Not Linux, or the process has ended.
  }
  const sizes = [...text.matchAll(/^Rss: +(\d+) kB$/gm)].map(([, kilobytes]) => Number(kilobytes) * 1024);
  return { resident: sizes.reduce((sum, size) => sum + size, 0), largest: Math.max(0, ...sizes) };
}
