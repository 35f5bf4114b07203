import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { nodeMachine } from "../../src/host/node/machine.ts";
import { Host } from "../../src/toolstack/host.ts";
import { imageUnavailable, runInImage } from "./image-guest.ts";

const image = "debian:12";
const skip = (await imageUnavailable(image)) ?? false;

/** Something to compute, in code that the boot has used already and in some that it has not. */
const command = ["sh", "-c", "i=0; while [ $i -lt 3000 ]; do i=$((i + 1)); done; echo $i | sha256sum"];
const answer = "f5aee7df0c39c9481508d69657ba4a0d39b7198bf97969ad11d50207a7f60228";

test(
  "warm start: the second boot uses the first one's translations, and is right",
  { skip, timeout: 300_000 },
  async (t) => {
    const translations = join(mkdtempSync(join(tmpdir(), "xenolith-")), "translations");
    t.after(() => rmSync(join(translations, ".."), { recursive: true, force: true }));
    const known: number[] = [];
    for (let boot = 0; boot < 2; boot++) {
      await using host = await Host.open(nodeMachine(undefined, { translations }));
      const { stdout, status, statistics } = await runInImage(host, image, command);
      assert.deepEqual([stdout, status], [`${answer}  -\n`, 0]);
      assert.equal(readdirSync(translations).length, 1);
      const { regions, known: before } = statistics.translation;
      t.diagnostic(`${regions} regions, ${before} of them known`);
      known.push(before / regions);
    }
    // Even the first boot makes some regions twice.
    assert.ok(known[0]! < 0.2 && known[1]! > 0.3, known.join());
  },
);
