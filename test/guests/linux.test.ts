import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeMachine } from "../../src/host/node/machine.ts";
import { Host } from "../../src/toolstack/host.ts";
import type { CommandResult } from "./image-guest.ts";
import { imageUnavailable, runInImage } from "./image-guest.ts";

/** What a guest's shell is asked: each line has one right answer, and most need a process, a pipe or arithmetic. */
const script = [
  "uname -r",
  "echo $((6*7))",
  "printf 'a\\nb\\nc\\n' | wc -l",
  "echo abc | sha256sum | cut -c1-16",
  "awk 'BEGIN { printf \"%.6f\\n\", 22 / 7 * 1.5 }'",
  "seq 1 1000 | awk '{ s += $1 } END { print s }'",
  "head -c 100000 /dev/zero | gzip | gunzip | md5sum | cut -c1-8",
  "(exit 7); echo $?",
].join("; ");
const answers = ["42", "3", "edeaaff3f1774ad2", "4.714286", "500500", "0019d23b", "7"];

function check(result: CommandResult, status: number, kernel: RegExp): void {
  assert.equal(result.status, status, result.lastLines.join("\n"));
  const [release = "", ...rest] = result.stdout.trim().split("\n");
  assert.match(release, kernel);
  assert.deepEqual(rest, answers);
}

const skip = (await imageUnavailable("debian:12")) ?? (await imageUnavailable("debian:13")) ?? false;

test(
  "linux: two releases at once in one process, each in its own memory and worker",
  { skip, timeout: 300_000 },
  async () => {
    await using host = await Host.open(nodeMachine());
    const [twelve, thirteen] = await Promise.all([
      runInImage(host, "debian:12", ["sh", "-c", `${script}; exit 12`]),
      runInImage(host, "debian:13", ["sh", "-c", `${script}; exit 13`]),
    ]);
    check(twelve, 12, /^6\.1\.\d.*-cloud-amd64$/);
    check(thirteen, 13, /^6\.12\.\d.*-cloud-amd64$/);
  },
);

/** The other images: by `npm run test:guests`, since each takes a while. */
const rest = [
  ["debian:11", /^5\.10\./],
  ["debian:12/amd64", /^6\.1\..*-amd64$/],
  ["debian:sid", /^[67]\./],
] as const;
for (const [image, kernel] of rest) {
  const asked = process.env["npm_lifecycle_event"] === "test:guests";
  const why = asked ? ((await imageUnavailable(image)) ?? false) : "npm run test:guests boots every image";
  test(`linux: ${image} boots and answers`, { skip: why, timeout: 300_000 }, async () => {
    await using host = await Host.open(nodeMachine());
    check(await runInImage(host, image, ["sh", "-c", `${script}; exit 5`]), 5, kernel);
  });
}
