/** What runs in each guest: it takes commands from the console, and marks where each begins and ends. */

import { joinArchives, runArchive } from "../../src/images/initramfs.ts";
import { cpioArchive } from "../../src/boot/cpio.ts";

/** Where a guest has the benchmark's files; commands call it $B. */
export const directory = "bench";

/** Without the compiled `timed` the shell marks; the guest's clock is then not known. */
const driver = `
export B=/${directory}
timed() { echo @begin; "$@"; echo "@end $? 0"; }
[ ! -x $B/timed ] || timed() { $B/timed "$@"; }
stty -echo
echo @ready
while read -r line; do timed sh -c "$line"; done
`;

/** A file of the benchmark's, for $B. */
export interface BenchFile {
  readonly name: string;
  readonly contents: Uint8Array;
}

/** An image's initramfs with the driver and these files. @param system a further archive. */
export function benchInitramfs(
  image: Uint8Array,
  files: readonly BenchFile[],
  system: Uint8Array = new Uint8Array(0),
): Uint8Array {
  const own = [...files, { name: "driver", contents: new TextEncoder().encode(driver) }];
  return joinArchives(
    image,
    system,
    cpioArchive([
      { type: "directory", path: directory, mode: 0o755 },
      ...own.map(
        ({ name, contents }) => ({ type: "file", path: `${directory}/${name}`, mode: 0o755, contents }) as const,
      ),
    ]),
    runArchive({ mode: "terminal", command: ["sh", `/${directory}/driver`] }, { marker: "" }),
  );
}
