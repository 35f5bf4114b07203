/**
 * The keys that sign Debian's archive, as the package debian-archive-keyring ships them; their fingerprints are also on
 * https://ftp-master.debian.org/keys.html. sid has no key of its own: the automatic keys of the releases sign it.
 */

import type { ArchiveKey } from "./archive-key.ts";
import { bookwormAutomatic } from "./bookworm-automatic.ts";
import { bookwormStable } from "./bookworm-stable.ts";
import { bullseyeAutomatic } from "./bullseye-automatic.ts";
import { bullseyeStable } from "./bullseye-stable.ts";
import { trixieAutomatic } from "./trixie-automatic.ts";
import { trixieStable } from "./trixie-stable.ts";

/** Every pinned key. A release is believed when any one of them has validly signed it. */
export const debianArchiveKeys: readonly ArchiveKey[] = [
  bullseyeAutomatic,
  bullseyeStable,
  bookwormAutomatic,
  bookwormStable,
  trixieAutomatic,
  trixieStable,
];
