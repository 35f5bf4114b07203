/** `xenolith image`: pulls images and shows and removes those in the cache. */

import { Command, Option } from "commander";
import { listImages, pullImage, removeImage } from "../../host/node/images.ts";
import type { PullProgress } from "../../images/pull.ts";
import { formatBytes } from "../arguments.ts";
import { ProgressLine, say } from "../report.ts";
import { interruptible } from "../signals.ts";

const PHASES: Readonly<Record<PullProgress["phase"], string>> = {
  release: "checking the release's signature",
  packages: "reading the list of packages",
  kernel: "downloading the kernel",
  busybox: "downloading busybox",
  unpack: "unpacking the kernel",
};

/** A line for people about what pulling does now. */
export function describeProgress({ phase, bytes, total }: PullProgress): string {
  if (bytes === 0 && total === undefined) return PHASES[phase];
  const of = total === undefined ? "" : ` of ${formatBytes(total)} (${Math.floor((100 * bytes) / total)} %)`;
  return `${PHASES[phase]}: ${formatBytes(bytes)}${of}`;
}

export function imageCommand(): Command {
  const format = (): Option =>
    new Option("--format <format>", "how to print").choices(["table", "json"]).default("table");
  const image = new Command("image").description("pull, list and remove images");
  image
    .command("pull")
    .description("pull an image from a Debian mirror, or see whether there is a newer one")
    .argument("[image]", "debian, debian:11, debian:12, debian:13, debian:sid; /amd64 for the full kernel", "debian")
    .option("--mirror <url>", "the Debian mirror to use (also: XENOLITH_MIRROR)")
    .addOption(format())
    .action(pull);
  image.command("ls").alias("list").description("list the images in the cache").addOption(format()).action(list);
  image
    .command("rm")
    .alias("remove")
    .description("remove images from the cache")
    .argument("<image...>", "as in the list")
    .action(remove);
  return image;
}

async function pull(reference: string, options: { mirror?: string; format: string }): Promise<void> {
  using interrupt = interruptible();
  const line = new ProgressLine();
  try {
    const image = await pullImage(reference, {
      mirror: options.mirror,
      refresh: "refresh",
      progress: (progress) => line.set(describeProgress(progress)),
      warn: say,
      onWait: () => line.set("waiting for another xenolith that is pulling"),
      signal: interrupt.signal,
    });
    line.clear();
    if (options.format === "json") process.stdout.write(`${JSON.stringify(image, undefined, 2)}\n`);
    else process.stdout.write(`${image.reference}: Debian ${image.release}, Linux ${image.kernelRelease}\n`);
  } finally {
    line.clear();
  }
}

async function list({ format }: { format: string }): Promise<void> {
  const images = await listImages();
  if (format === "json") {
    process.stdout.write(`${JSON.stringify(images, undefined, 2)}\n`);
    return;
  }
  const rows = images.map((image) => [
    image.reference,
    image.release,
    image.kernelRelease,
    formatBytes(image.bytes),
    image.pulled.slice(0, 10),
  ]);
  process.stdout.write(table(["IMAGE", "RELEASE", "KERNEL", "SIZE", "PULLED"], rows));
}

async function remove(references: readonly string[]): Promise<void> {
  for (const reference of references) {
    const freed = await removeImage(reference);
    process.stdout.write(`${reference}: removed, ${formatBytes(freed)} freed\n`);
  }
}

/** Columns of text, two spaces apart. */
function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((_, i) => Math.max(...[header, ...rows].map((row) => row[i]?.length ?? 0)));
  const line = (row: readonly string[]): string => row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join("  ");
  return [header, ...rows].map((row) => `${line(row).trimEnd()}\n`).join("");
}
