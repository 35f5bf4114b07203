/** A machine that is measured: how to start it, and how its guest's console is reached. */

/** What a guest is made of: the same for every peer of one architecture. */
export interface GuestFiles {
  /** Paths of the kernel as an ELF image and as a bzImage. */
  readonly vmlinux: string;
  readonly bzImage: string;
  readonly initrd: string;
  readonly memoryMegabytes: number;
  /** Without the console, which is the peer's. */
  readonly commandLine: string;
}

/** A program of the host's that runs a guest, its console on standard input and output. */
export interface Launch {
  readonly program: string;
  readonly args: readonly string[];
}

/** A way to run a guest. */
export interface Peer {
  readonly name: string;
  readonly architecture: "amd64" | "i386";
  /** Why it cannot run here, and what to do; undefined when it can. */
  readonly missing: string | undefined;
  readonly launch: (files: GuestFiles) => Launch;
  /** The same with a cache of translations in a directory, where the peer can have one; {@link launch} has none. */
  readonly launchCached?: (files: GuestFiles, directory: string) => Launch;
  /** "messages": the program answers the message "statistics" with counters. "none": it has none. */
  readonly statistics: "messages" | "none";
}
