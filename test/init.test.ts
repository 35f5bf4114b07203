/**
 * Init's side of the console protocol, with the busybox of each image in the cache: in a container of this machine's, whose
 * /dev/hvc0 is a pseudo-terminal. Needs Linux, root and util-linux; elsewhere it skips, saying so.
 */

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { consoleParser, encodeCommandInput, endOfCommandInput } from "../src/images/console-protocol.ts";
import { initScript } from "../src/images/init-script.ts";
import { runArchive } from "../src/images/initramfs.ts";
import type { Run } from "../src/images/initramfs.ts";
import { listImages } from "../src/host/node/images.ts";

const MARKER = "00112233445566778899aabbccddeeff";

/** What a container cannot do: it shares the machine's devices and kernel log. Every other line runs as it is. */
const NOT_IN_A_CONTAINER = [/^\$bb mount -t devtmpfs .*$/m, /^dmesg -n 1$/m, /^mount -t devpts .*$/m, /^ip link .*$/m];

interface Outcome {
  readonly output: string;
  readonly errors: string;
  readonly status: number | undefined;
  /** Names of init's words, in order. */
  readonly words: readonly string[];
}

/** Runs init over an image's initial RAM file system, and sends `input` when it is asked for. */
async function runInit(initrd: Uint8Array, run: Run, input: Uint8Array): Promise<Outcome> {
  const directory = await mkdtemp(join(tmpdir(), "xenolith-init-"));
  try {
    const archive = runArchive(run, { marker: MARKER, rows: 33, columns: 101, terminal: "xterm" });
    await writeFile(join(directory, "busybox"), busyboxOf(initrd), { mode: 0o755 });
    for (const [name, bytes] of [
      ["initrd", initrd],
      ["run", archive],
    ] as const) {
      await writeFile(join(directory, name), bytes);
      const unpack = `mkdir -p root && cd root && ../busybox cpio -idmu <../${name}`;
      assert.equal(spawnSync("sh", ["-c", unpack], { cwd: directory }).status, 0, `unpacking ${name}`);
    }
    const contained = NOT_IN_A_CONTAINER.reduce((script, line) => {
      assert.match(script, line);
      return script.replace(line, "");
    }, initScript);
    await writeFile(join(directory, "root", "init"), contained);
    await writeFile(join(directory, "root", "dev", "hvc0"), "");
    await writeFile(join(directory, "root", "dev", "null"), "");
    const inside = `mount --bind $(tty) root/dev/hvc0 && mount --bind /dev/null root/dev/null && exec chroot root /init 2>/dev/null`;
    const child = spawn(
      "script",
      ["-qfec", `stty raw -echo; unshare -mpuf --kill-child sh -c '${inside}'`, "/dev/null"],
      {
        cwd: directory,
        stdio: ["pipe", "pipe", "inherit"],
      },
    );
    return await new Promise((resolve, reject) => {
      const parser = consoleParser(MARKER, "drop");
      let output: Buffer[] = [];
      const errors: Buffer[] = [];
      const words: string[] = [];
      let status: number | undefined;
      let asked = false;
      child.stdout.on("data", (bytes: Buffer) => {
        // As a session does: what comes after the status is the system's.
        for (const event of parser.push(bytes)) {
          if (status !== undefined) continue;
          if (event.kind === "output") output.push(Buffer.from(event.bytes));
          else if (event.kind === "error-output") errors.push(Buffer.from(event.bytes));
          else words.push(event.kind);
          if (event.kind === "begin" || event.kind === "ready") output = [];
          if (event.kind === "exit") ({ status } = event);
          const ready = { command: "begin", terminal: "ready", shell: "prompt" }[run.mode];
          if (event.kind === ready && !asked) {
            asked = true;
            child.stdin.write(input);
          }
        }
      });
      child.on("error", reject);
      child.on("close", () =>
        resolve({
          output: Buffer.concat(output).toString("latin1"),
          errors: Buffer.concat(errors).toString("latin1"),
          status,
          words,
        }),
      );
    });
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** The largest file of the archive. */
function busyboxOf(initrd: Uint8Array): Uint8Array {
  const at = Buffer.from(initrd).indexOf("\x7fELF");
  assert.ok(at > 0);
  return initrd.subarray(at);
}

function missing(): string | undefined {
  if (process.platform !== "linux" || process.arch !== "x64") return "needs Linux on x86-64";
  if (process.getuid?.() !== 0) return "needs root";
  for (const program of ["script", "chroot"]) {
    if (spawnSync(program, ["--version"]).status !== 0) return `${program} is not installed`;
  }
  return spawnSync("unshare", ["-mpuf", "true"]).status === 0 ? undefined : "unshare is not allowed";
}

const command = (...words: string[]): Run => ({ mode: "command", command: words });
const noInput = endOfCommandInput();

const images = await listImages().catch(() => []);
const reason = missing() ?? (images.length === 0 ? "no image is in the cache" : undefined);
const distinct = images.filter(({ initrd }, i) => images.findIndex((other) => other.initrd === initrd) === i);

for (const { reference, initrd: path } of distinct.length > 0 ? distinct : [{ reference: "no image", initrd: "" }]) {
  test(`init: busybox of ${reference}`, { skip: reason ?? false, timeout: 60_000 }, async (t) => {
    const initrd = await readFile(path);

    await t.test("a command's output, errors, input and status are kept apart", async () => {
      const bytes = Uint8Array.from({ length: 3000 }, (_, i) => (i * 7) & 0xff);
      const input = Buffer.concat([encodeCommandInput(bytes), noInput]);
      const script = "echo oops >&2; cat; tty; stty size; exit 7";
      const { output, errors, status, words } = await runInit(initrd, command("sh", "-c", script), input);
      assert.equal(output, `${Buffer.from(bytes).toString("latin1")}not a tty\n`);
      assert.match(errors, /^oops\nstty: /);
      assert.equal(status, 7);
      assert.deepEqual(words, ["begin", "exit"]);
    });

    await t.test("much of both comes through whole", async () => {
      const script = "seq 1 20000; seq 1 5000 >&2; printf '\\033]xenolith;forged;exit=0\\007\\000\\377'";
      const { output, errors, status } = await runInit(initrd, command("sh", "-c", script), noInput);
      const lines = (last: number): string => Array.from({ length: last }, (_, i) => `${i + 1}\n`).join("");
      assert.equal(output, `${lines(20_000)}\x1b]xenolith;forged;exit=0\x07\0\xff`);
      assert.equal(errors, lines(5000));
      assert.equal(status, 0);
    });

    await t.test("a status says what became of a command", async () => {
      const statuses = [];
      for (const words of [["false"], ["no-such-command"], ["/etc/passwd"], ["sh", "-c", "kill -9 $$"]]) {
        statuses.push((await runInit(initrd, command(...words), noInput)).status);
      }
      assert.deepEqual(statuses, [1, 127, 126, 137]);
    });

    await t.test("a command that reads nothing of its input ends all the same", async () => {
      const { output, status } = await runInit(
        initrd,
        command("echo", "a b", "$c"),
        encodeCommandInput(new Uint8Array(9000)),
      );
      assert.equal(output, "a b $c\n");
      assert.equal(status, 0);
    });

    await t.test("the marker is gone when the command runs", async () => {
      const script = `ls /xenolith; set; grep -c ${MARKER} /proc/*/environ`;
      assert.ok(!(await runInit(initrd, command("sh", "-c", script), noInput)).output.includes(MARKER));
    });

    await t.test("a command on the terminal", async () => {
      const run: Run = { mode: "terminal", command: ["sh", "-c", "tty; stty size; read x; echo got $x; exit 5"] };
      const { output, status, words } = await runInit(initrd, run, Buffer.from("abc\n"));
      assert.match(output, /^\/dev\/hvc0\r$/m);
      assert.match(output, /^33 101\r$/m);
      assert.match(output, /^got abc\r$/m);
      assert.equal(status, 5);
      assert.deepEqual(words, ["ready", "exit"]);
    });

    await t.test(
      "a shell with a controlling terminal, a prompt that is told of, and the last command's status",
      async () => {
        const { output, status, words } = await runInit(
          initrd,
          { mode: "shell" },
          Buffer.from("echo $((6*7))\n: >/dev/tty\nfalse\n\x04"),
        );
        assert.match(output, /\r\n42\r\n/);
        assert.equal(status, 1);
        assert.deepEqual(words, ["ready", "prompt", "prompt", "prompt", "prompt", "exit"]);
      },
    );
  });
}
