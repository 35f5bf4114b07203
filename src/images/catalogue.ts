/** The images that can be pulled by name. */

import { XenError } from "../bits/errors.ts";

/** An image: a Debian release, and which of its kernels. */
export interface CatalogueEntry {
  /** The name in full, as in `debian:12`. */
  readonly reference: string;
  /** The release's code name, which `dists/` has a directory for. */
  readonly codename: string;
  /** The metapackage that depends on the release's current kernel. */
  readonly kernelPackage: string;
  /** One line for people. */
  readonly description: string;
}

const RELEASES = [
  { version: "11", codename: "bullseye", title: "Debian 11 (bullseye)" },
  { version: "12", codename: "bookworm", title: "Debian 12 (bookworm)" },
  { version: "13", codename: "trixie", title: "Debian 13 (trixie)" },
  { version: "sid", codename: "sid", title: "Debian unstable (sid)" },
] as const;

const KERNELS = [
  { suffix: "", kernelPackage: "linux-image-cloud-amd64", title: "kernel for virtual machines" },
  { suffix: "/amd64", kernelPackage: "linux-image-amd64", title: "full kernel" },
] as const;

/** Every image there is, `debian:12` among them. */
export const catalogue: readonly CatalogueEntry[] = RELEASES.flatMap(({ version, codename, title }) =>
  KERNELS.map((kernel) => ({
    reference: `debian:${version}${kernel.suffix}`,
    codename,
    kernelPackage: kernel.kernelPackage,
    description: `${title}, ${kernel.title}, busybox`,
  })),
);

/** What `debian` alone means. */
const DEFAULT_REFERENCE = "debian:12";

/**
 * The image of that name. `debian` is `debian:12`, `debian/amd64` is `debian:12/amd64`, and a code name may stand for a
 * release's number.
 * @throws XenError "no-such-image", naming those there are.
 */
export function catalogueEntry(reference: string): CatalogueEntry {
  const written = reference === "debian" ? DEFAULT_REFERENCE : reference.replace(/^debian\//, `${DEFAULT_REFERENCE}/`);
  const known = RELEASES.reduce(
    (name, { version, codename }) => name.replace(`debian:${codename}`, `debian:${version}`),
    written,
  );
  const entry = catalogue.find((candidate) => candidate.reference === known);
  if (entry !== undefined) return entry;
  const names = ["debian", ...catalogue.map((candidate) => candidate.reference)].join(", ");
  throw new XenError("no-such-image", `image "${reference}": no such image; there are ${names}`);
}
