/** Which Debian mirror to use: the one the machine's apt is configured with, or one of Debian's own. */

import { XenError } from "../bits/errors.ts";
import { parseParagraphs } from "./control.ts";

/** Used where apt is not configured: two of Debian's country mirrors, tried in this order. */
export const defaultMirrors: readonly string[] = ["http://ftp.us.debian.org/debian", "http://ftp.de.debian.org/debian"];

/** An apt configuration file. */
export interface AptSource {
  /** Its path, or only its name: `.sources` files are deb822, all others have a line for each source. */
  readonly path: string;
  readonly text: string;
}

/** Code names by which apt can name a release. */
const CODENAMES = new Set(["stretch", "buster", "bullseye", "bookworm", "trixie", "forky", "duke", "sid"]);
/** Names that other distributors use for their own releases as well. */
const SUITES = new Set(["oldoldstable", "oldstable", "stable", "testing", "unstable"]);
/** Parts of a release that the same mirror serves beside the release itself. */
const POCKETS = /-(?:updates|proposed-updates|backports|backports-sloppy)$/;

interface AptEntry {
  readonly uri: string;
  readonly suites: readonly string[];
  readonly components: readonly string[];
}

/**
 * The mirrors of Debian's main archive in apt's configuration, in the order in which apt has them.
 * Other distributors' archives and Debian's security archive, which has no whole release, are left out.
 * @param readMirrorList the text of a file that a `mirror+file:` source names, or undefined.
 */
export function aptMirrors(
  sources: readonly AptSource[],
  readMirrorList: (path: string) => string | undefined = () => undefined,
): string[] {
  const mirrors = new Set<string>();
  for (const source of sources) {
    const entries = source.path.endsWith(".sources") ? deb822Entries(source.text) : oneLineEntries(source.text);
    for (const entry of entries) {
      if (!entry.components.includes("main")) continue;
      for (const uri of expand(entry.uri, readMirrorList)) {
        if (entry.suites.some((suite) => isDebian(suite, uri))) mirrors.add(withoutSlash(uri));
      }
    }
  }
  return [...mirrors];
}

function isDebian(suite: string, uri: string): boolean {
  const release = suite.replace(POCKETS, "");
  return CODENAMES.has(release) || (SUITES.has(release) && /debian/i.test(new URL(uri).pathname));
}

/** Only what fetch can read: not `cdrom:`, `file:` or `tor+http:`. */
function expand(uri: string, readMirrorList: (path: string) => string | undefined): string[] {
  const list = /^mirror\+file:(?:\/\/)?(\/.*)$/.exec(uri);
  const uris = list ? (readMirrorList(list[1]!) ?? "").split("\n").map((line) => line.trim().split(/\s+/)[0]!) : [uri];
  return uris.filter((candidate) => /^https?:\/\//.test(candidate) && URL.canParse(candidate));
}

/** sources.list(5), "One-Line-Style Format": `deb [options] uri suite [component…]`. */
function oneLineEntries(text: string): AptEntry[] {
  return text.split("\n").flatMap((line) => {
    const match = /^\s*deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s*([^#]*)/.exec(line);
    return match ? [{ uri: match[1]!, suites: [match[2]!], components: words(match[3]!) }] : [];
  });
}

/** sources.list(5), "DEB822-Style Format". */
function deb822Entries(text: string): AptEntry[] {
  return parseParagraphs(text).flatMap((paragraph) => {
    const field = (name: string): string[] => words(paragraph.get(name) ?? "");
    if (!field("types").includes("deb") || /^(?:no|false|0|off|disable)$/i.test(paragraph.get("enabled") ?? ""))
      return [];
    return field("uris").map((uri) => ({ uri, suites: field("suites"), components: field("components") }));
  });
}

function words(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== "");
}

function withoutSlash(uri: string): string {
  return uri.replace(/\/+$/, "");
}

/**
 * A mirror given by the user.
 * @param origin says where it was given, as in `--mirror`.
 * @throws XenError "invalid-argument" when it is not an http or https URL.
 */
export function mirrorUrl(url: string, origin: string): string {
  if (!/^https?:\/\//.test(url) || !URL.canParse(url)) {
    throw new XenError("invalid-argument", `${origin}: "${url}" is not the http or https URL of a Debian mirror`);
  }
  return withoutSlash(url);
}
