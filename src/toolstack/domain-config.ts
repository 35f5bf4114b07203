/** What a user says of a domain that is to be made. */

import type { CheckSampling } from "../engine/check/options.ts";

/** Which entries of translated code are compared. */
export type EngineCheck = CheckSampling;

/** A domain to create. Sizes in bytes. */
export interface DomainConfig {
  readonly name: string;
  /** A bzImage or an ELF file, perhaps compressed. */
  readonly kernel: Uint8Array;
  /** What messages call the kernel: usually its path. */
  readonly kernelName: string;
  readonly initrd?: Uint8Array | undefined;
  readonly commandLine: string;
  /** RAM; a multiple of 4096. */
  readonly memoryBytes: number;
  readonly vcpus: number;
  /** The domain does not run before `Guest.unpause`: `xl create -p`. */
  readonly paused?: true;
  /** Compare translated code with the interpreter while the domain runs; it ends at the first difference. */
  readonly engineCheck?: EngineCheck | undefined;
}
