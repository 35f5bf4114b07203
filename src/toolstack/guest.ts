/** A running domain, as the SDK and the commands hold it. */

import type { DomainId } from "../abi/types.ts";
import type { CheckStatistics } from "../engine/check/options.ts";

/** How a domain came to its end. */
export type Ending =
  /** It shut itself down, for one of Xen's reasons. */
  | { readonly kind: "shutdown"; readonly reason: ShutdownReason }
  /** A fault while delivering a double fault. Xen's reason for it is a reboot; a user wants to know. */
  | { readonly kind: "triple-fault" }
  /** Translated code did something else than the interpreter: see DomainConfig.engineCheck. */
  | { readonly kind: "tiers-differ"; readonly report: string }
  /** {@link Guest.destroy} was called. */
  | { readonly kind: "destroyed" }
  /** This program could not go on with it. */
  | { readonly kind: "failed"; readonly error: Error };

/** Why a guest shut down. xen/include/public/sched.h, SHUTDOWN_*. */
export type ShutdownReason = "poweroff" | "reboot" | "suspend" | "crash" | "watchdog" | "soft-reset";

/** Counters of a domain, since it was created. */
export interface GuestStatistics {
  /** Seconds of the host's time since it was unpaused. */
  readonly seconds: number;
  /** Seconds of processor time that its thread has used. */
  readonly processorSeconds: number;
  /** Guest instructions. */
  readonly instructions: number;
  /** Calls from guest code's WebAssembly into JavaScript, and returns to it. */
  readonly transitions: number;
  /** Those of the instructions that were executed in translated code, and what the translator did. */
  readonly translated: number;
  readonly translation: {
    /** Regions that were put in place, the guest instructions in them, and bytes of WebAssembly. */
    readonly regions: number;
    readonly instructions: number;
    readonly bytes: number;
    /** Those of the regions that had been translated before: earlier, or by another process that left them on disk. */
    readonly known: number;
    /** Regions given up because their code changed. */
    readonly dropped: number;
    /** How often regions were entered otherwise than from a region. */
    readonly entries: number;
  };
  /** Where translated code was compared with the interpreter: how much of it, and why some was not. */
  readonly check: CheckStatistics;
  /** Exits to the hypervisor by kind, where they are counted. */
  readonly exits: Readonly<Record<string, number>>;
}

/** A guest's console: the PV console's bytes, and what the guest puts out by console_io and port 0xE9. */
export interface GuestConsole {
  /** What the guest prints. A reader that is slow slows the guest's printing; cancel it where nobody reads. */
  readonly readable: ReadableStream<Uint8Array>;
  /** What is typed. A write is done when the guest's ring has all of it. */
  readonly writable: WritableStream<Uint8Array>;
}

/** A domain. */
export interface Guest extends AsyncDisposable {
  readonly id: DomainId;
  readonly name: string;
  readonly console: GuestConsole;
  /** Kept when the domain has ended; never broken. */
  readonly ended: Promise<Ending>;
  /** Lets a domain run that was created paused. */
  unpause(): void;
  /** Asks the guest to shut down: `control/shutdown` in xenstore. Whether it does is the guest's. */
  shutdown(how: "poweroff" | "reboot"): void;
  /** Tells the guest how large the window of its console is: `control/window` in xenstore, which images' init follows. */
  resize(rows: number, columns: number): void;
  /** Ends the domain at once and gives its memory back. */
  destroy(): Promise<void>;
  statistics(): GuestStatistics;
  /** A vCPU's registers when it last stopped, for people: several lines. */
  registers(): string | undefined;
}
