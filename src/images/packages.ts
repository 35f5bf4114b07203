/** A release's list of packages, and which of them an image needs. */

import { XenError } from "../bits/errors.ts";
import { parseParagraph } from "./control.ts";

/** A binary package as a Packages file describes it. */
export interface Package {
  readonly name: string;
  readonly version: string;
  /** Names of what it depends on, the first of each group of alternatives, without version conditions. */
  readonly depends: readonly string[];
  /** Relative to the mirror's root. */
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** A Packages file, searched by name without being parsed as a whole: it has some 60,000 paragraphs. */
export interface PackageIndex {
  /** @returns the package, or undefined. Throws XenError "bad-archive" when its paragraph lacks what it must have. */
  find(name: string): Package | undefined;
}

/** @param bytes a Packages file, uncompressed. Names, versions and paths are ASCII (Debian Policy §5.6). */
export function packageIndex(bytes: Uint8Array): PackageIndex {
  // One byte a character, so that 50 MB stay 50 MB.
  const text = `\n${new TextDecoder("latin1").decode(bytes)}`;
  return {
    find(name) {
      const start = text.indexOf(`\nPackage: ${name}\n`);
      if (start < 0) return undefined;
      const end = text.indexOf("\n\n", start + 1);
      return parsePackage(name, text.slice(start + 1, end < 0 ? undefined : end));
    },
  };
}

function parsePackage(name: string, paragraph: string): Package {
  const fields = parseParagraph(paragraph);
  const field = (key: string): string => {
    const value = fields.get(key);
    if (value === undefined) throw new XenError("bad-archive", `package ${name}: its index entry has no ${key}`);
    return value;
  };
  const path = field("filename");
  const bytes = Number(field("size"));
  if (!Number.isSafeInteger(bytes) || path.split("/").includes("..")) {
    throw new XenError("bad-archive", `package ${name}: its index entry is malformed`);
  }
  const groups = [fields.get("pre-depends"), fields.get("depends")].flatMap((list) => list?.split(",") ?? []);
  return {
    name,
    version: field("version"),
    depends: groups.map((group) => group.trim().split(/[\s(|]/)[0]!).filter((dependency) => dependency !== ""),
    path,
    bytes,
    sha256: field("sha256"),
  };
}

/** The package names under which Debian ships a kernel: one until forky, the image apart from its metapackage since. */
const KERNEL_PACKAGE = /^linux-(?:image|binary)-/;

/**
 * Follows a kernel metapackage to the package that holds the kernel itself.
 * @throws XenError "bad-archive" when the release has no such package, or it leads nowhere.
 */
export function kernelPackage(index: PackageIndex, metapackage: string): Package {
  let found = packageNamed(index, metapackage);
  // From metapackage to versioned image to binary image: more steps would be a circle.
  for (let step = 0; step < 4; step++) {
    const next = found.depends.find((dependency) => KERNEL_PACKAGE.test(dependency));
    if (next === undefined) return found;
    found = packageNamed(index, next);
  }
  throw new XenError("bad-archive", `package ${metapackage}: its dependencies lead to no kernel`);
}

/** @throws XenError "bad-archive" when there is none. */
export function packageNamed(index: PackageIndex, name: string): Package {
  const found = index.find(name);
  if (found === undefined) throw new XenError("bad-archive", `package ${name}: not in this release`);
  return found;
}
