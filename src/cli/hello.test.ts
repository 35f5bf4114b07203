import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";

import { pvhElf } from "../toolstack/hello/elf.ts";
import { helloKernel } from "../toolstack/hello/program.ts";

const launcher = fileURLToPath(new URL("../../bin/xenolith.js", import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), "xenolith-hello-"));
after(() => rmSync(scratch, { recursive: true, force: true }));

interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function xenolith(args: readonly string[], input = "", environment: NodeJS.ProcessEnv = {}): Outcome {
  const { status, stdout, stderr } = spawnSync(process.execPath, [launcher, ...args], {
    encoding: "utf8",
    input,
    env: { ...process.env, ...environment },
    timeout: 120_000,
  });
  return { status, stdout, stderr };
}

function kernel(name: string, bytes: Uint8Array): string {
  const file = join(scratch, name);
  writeFileSync(file, bytes);
  return file;
}

/** What was printed between a prompt with this command, echoed, and the next prompt; the how-manieth time. */
function answer(stdout: string, command: string, time = 0): string {
  const shown = stdout.split(`hello> ${command}\r\n`)[time + 1];
  assert.ok(shown !== undefined, `"${command}" was not answered ${time + 1} times in:\n${stdout}`);
  return shown.split("hello> ")[0] ?? "";
}

test("hello: two domains find each other, share a page and a channel, and tell what they read", () => {
  const { status, stdout, stderr } = xenolith(
    ["hello", "--stats"],
    "help\nxenstore\ngrants\nevents\ncpuid\ntime\nnonsense\nquit\n",
  );
  assert.equal(status, 0);
  assert.match(
    stdout,
    /I am domain 1, called hello\.\r\nThere I have found domain 2, called world: it has mapped a page/,
  );
  for (const command of ["xenstore", "grants", "events", "cpuid", "time", "crash", "quit", "help"]) {
    assert.match(answer(stdout, "help"), new RegExp(`\\b${command} {2,}\\w`));
  }
  const store = answer(stdout, "xenstore");
  assert.match(store, /\n {2}name = "hello"\r\n/);
  assert.match(store, /\n {4}static-max = "16384"\r\n/);
  assert.match(
    store,
    /\n {8}backend = "\/local\/domain\/2\/backend\/tour\/1\/0"\r\n {8}backend-id = "2"\r\n {8}state = "4"\r\n/,
  );
  assert.match(
    store,
    /\n\/local\/domain\/2\/backend\/tour\/1\/0 = ""\r\n {2}frontend = "\/local\/domain\/1\/device\/tour\/0"\r\n/,
  );

  const grants = answer(stdout, "grants");
  assert.match(grants, /Domain 1: entry 0 is frame 0x000fefff for domain 0, mapped to read and write\.\r\n/);
  assert.match(grants, /Domain 1: entry 1 is frame 0x000feffc for domain 0, mapped to read and write\.\r\n/);
  assert.match(grants, /Domain 1: entry 8 is frame 0x000001f2 for domain 2, mapped to read and write\.\r\n/);
  assert.match(
    grants,
    /Domain 2: I have mapped entry 8 of domain 1, .* There I read "Greetings from the page's owner\."\r\n/,
  );

  const events = answer(stdout, "events");
  assert.match(events, /Domain 1: port 1 leads to domain 0, port \d+\r\n/);
  assert.match(events, /Domain 1: port 3 leads to domain 2, port 3\r\n/);
  assert.match(events, /Domain 2: port 3 leads to domain 1, port 3\r\n/);
  assert.match(events, /An event to domain 2 and one back took [1-9]\d* us\.\r\n/);

  const cpuid = answer(stdout, "cpuid");
  for (const id of [1, 2]) {
    const line = `Domain ${id}: the processor is GenuineIntel, the hypervisor XenVMMXenVMM 4\\.\\d+, and says that I am domain ${id}\\.`;
    assert.match(cpuid, new RegExp(line));
  }
  const now = new Date();
  const hours = [now, new Date(now.getTime() - 60_000)].map((time) => time.toISOString().slice(11, 13)).join("|");
  const time = answer(stdout, "time");
  for (const id of [1, 2]) {
    assert.match(time, new RegExp(`Domain ${id}: running for \\d+ ms; the time is (?:${hours}):\\d\\d:\\d\\d UTC\\.`));
  }
  assert.match(answer(stdout, "nonsense"), /There is no such command/);
  assert.match(answer(stdout, "quit"), /^I tell domain 2 to power off\.\r\nIt is gone\.\r\nPowering off\.\r\n$/);
  assert.match(stderr, /million instructions/);
});

test("hello: the second domain crashes, and the first sees it go and goes on; the end of input quits", () => {
  const { status, stdout, stderr } = xenolith(["hello"], "crash\ngrants\nevents\ntime\ncrash\n");
  assert.equal(status, 0);
  const crash = answer(stdout, "crash");
  assert.match(
    crash,
    /@releaseDomain told me: domain 2 is gone\. Its nodes [^\n]*\nmy port 3 has lost its other end, and my page is not in use/,
  );
  assert.match(answer(stdout, "grants"), /entry 8 is frame 0x000001f2 for domain 2, not in use\.\r\n/);
  assert.match(answer(stdout, "events"), /Domain 1: port 3 waits for domain 2\r\n/);
  assert.match(answer(stdout, "time"), /^Domain 1: running for \d+ ms; [^\n]*\n$/);
  assert.match(answer(stdout, "crash", 1), /^There is nobody left to crash\.\r\n$/);
  assert.match(stdout, /hello> \r\nPowering off\.\r\n$/);
  assert.equal(stderr, "");
});

test("run: without a mirror and an image, one line says so and the tour runs", () => {
  const environment = { XENOLITH_MIRROR: "http://127.0.0.1:9/debian", XENOLITH_CACHE: join(scratch, "cache") };
  const { status, stdout, stderr } = xenolith(["run"], "quit\n", environment);
  assert.equal(status, 0);
  assert.match(stdout, /called world/);
  assert.match(stderr, /^xenolith: [^\n]*running the built-in tour instead\.\n$/);
});

test("run: a triple fault is told with registers and the console's last lines, and status 135", () => {
  // A first guest without a second one has nobody else to crash.
  const { status, stdout, stderr } = xenolith(
    ["run", "--kernel", kernel("alone.elf", helloKernel()), "-m", "16M"],
    "crash\n",
  );
  assert.equal(status, 135);
  assert.match(stdout, /There is no other domain for me\.\r\n/);
  assert.match(stdout, /Goodbye\.\r\n$/);
  assert.match(stderr, /"guest" was ended by a triple fault\n/);
  assert.match(stderr, /rip 0000:00000000001/);
  assert.match(stderr, /last lines:\n[^]*Goodbye\./);
});

test("run: any PVH kernel file boots, byte for byte on stdin and stdout", () => {
  const file = kernel("hello.elf", helloKernel());
  const { status, stdout, stderr } = xenolith(["run", "--kernel", file, "-m", "16M", "--stats"], "cpuid\nquit\n");
  assert.equal(status, 0);
  assert.match(stdout, /XenVMMXenVMM/);
  assert.match(stderr, /million instructions/);
});

test("run: a guest that does nothing is ended by --timeout with status 124", () => {
  // jmp $
  const file = kernel("loop.elf", pvhElf(Uint8Array.of(0xeb, 0xfe), 0x100000, 0x100000));
  const { status, stdout, stderr } = xenolith(["run", "--kernel", file, "-m", "16M", "--timeout", "1"]);
  assert.equal(status, 124);
  assert.equal(stdout, "");
  assert.match(stderr, /was ended after 1 s/);
});

test("run: HLT without interrupts powers off, and port 0xE9 is a console", () => {
  // mov al, '!'; out 0xe9, al; cli; hlt
  const code = Uint8Array.of(0xb0, 0x21, 0xe6, 0xe9, 0xfa, 0xf4);
  const file = kernel("off.elf", pvhElf(code, 0x100000, 0x100000));
  const { status, stdout } = xenolith(["run", "--kernel", file, "-m", "16M"]);
  assert.equal(status, 0);
  assert.equal(stdout, "!");
});

test("run: the result as JSON, with what the guest printed", () => {
  const file = kernel("json.elf", helloKernel());
  const { status, stdout } = xenolith(["run", "--kernel", file, "-m", "16M", "--format", "json", "-n", "me"], "quit\n");
  assert.equal(status, 0);
  const result = JSON.parse(stdout) as Record<string, unknown>;
  assert.equal(result["name"], "me");
  assert.equal(result["ending"], "poweroff");
  assert.equal(result["status"], 0);
  assert.match(String(result["stdout"]), /called me\./);
  assert.ok(Number(result["instructions"]) > 1000);
});

test("run: too little memory for a kernel is said in one line", () => {
  const file = kernel("big.elf", pvhElf(new Uint8Array(4 << 20), 0x100000, 0x100000));
  const { status, stderr } = xenolith(["run", "--kernel", file, "-m", "2M"]);
  assert.equal(status, 125);
  assert.match(stderr, /^xenolith: memory: 2 MiB is too little for kernel/);
});
