/** Files of Debian packages that tests need: downloaded, verified as images are, and kept in the cache. Never committed. */
import { globSync } from "node:fs";
import { mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { decompress } from "../../src/boot/compression.ts";
import { decompressors } from "../../src/host/node/decompressors.ts";
import { cacheDirectory } from "../../src/host/node/images.ts";
import { fileInPackage } from "../../src/images/deb.ts";
import { download, downloadVerified, sha256 } from "../../src/images/download.ts";
import type { Downloader } from "../../src/images/download.ts";
import { debianArchiveKeys } from "../../src/images/keys/debian.ts";
import { aptMirrors, defaultMirrors } from "../../src/images/mirror.ts";
import { packageIndex, packageNamed } from "../../src/images/packages.ts";
import { parseRelease } from "../../src/images/release.ts";
import { verifyClearsigned } from "../../src/images/signature.ts";

const RELEASE = "bookworm";
const INDEX = "main/binary-amd64/Packages.xz";
const MAXIMUM_INDEX = 256 << 20;

async function mirror(): Promise<string> {
  const chosen = process.env["XENOLITH_MIRROR"];
  if (chosen !== undefined && chosen !== "") return chosen.replace(/\/+$/, "");
  const paths = globSync(["/etc/apt/sources.list", "/etc/apt/sources.list.d/*.{list,sources}"]);
  const sources = await Promise.all(paths.map(async (path) => ({ path, text: await readFile(path, "utf8") })));
  return aptMirrors(sources)[0] ?? defaultMirrors[0] ?? "";
}

/** A file that was kept: its name is its digest. */
async function kept(directory: string): Promise<Uint8Array | undefined> {
  for (const name of await readdir(directory).catch(() => [])) {
    const bytes = await readFile(join(directory, name));
    if ((await sha256(bytes)) === name) return bytes;
  }
  return undefined;
}

/**
 * A file of a package in Debian 12.
 * @throws XenError "mirror-unreachable" without network, and others of pulling an image.
 */
export async function fileOfPackage(name: string, path: string): Promise<Uint8Array> {
  const directory = join(cacheDirectory(), "test", name);
  const known = await kept(directory);
  if (known !== undefined) return known;
  const downloader: Downloader = { fetch: globalThis.fetch, sleep: (milliseconds) => setTimeout(milliseconds) };
  const root = await mirror();
  const base = `${root}/dists/${RELEASE}`;
  const signed = new TextDecoder().decode(await download(`${base}/InRelease`, downloader));
  const { text } = await verifyClearsigned(signed, debianArchiveKeys, base, new Date());
  const listed = parseRelease(text, RELEASE, base).files.get(INDEX);
  if (listed === undefined) throw new Error(`${base}: no ${INDEX}`);
  const packed = await downloadVerified(`${base}/${INDEX}`, listed, downloader, () => {});
  const index = packageIndex(decompress("xz", packed, MAXIMUM_INDEX, decompressors, INDEX));
  const found = packageNamed(index, name);
  const deb = await downloadVerified(`${root}/${found.path}`, found, downloader, () => {});
  const { contents } = fileInPackage(deb, (candidate) => candidate === path, decompressors, name);
  await mkdir(directory, { recursive: true });
  const partial = join(directory, `partial-${process.pid}`);
  await writeFile(partial, contents);
  await rename(partial, join(directory, await sha256(contents)));
  return contents;
}
