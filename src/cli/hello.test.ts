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

function xenolith(args: readonly string[], input = ""): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [launcher, ...args], {
    encoding: "utf8",
    input,
    timeout: 120_000,
  });
  return { status, stdout, stderr };
}

function kernel(name: string, bytes: Uint8Array): string {
  const file = join(scratch, name);
  writeFileSync(file, bytes);
  return file;
}

test("hello: the guest reads its own nodes, channels, processor and clock, and quits at the end of input", () => {
  const { status, stdout } = xenolith(["hello"], "xenstore\ntime\ncpuid\nevents\nnonsense\n");
  assert.equal(status, 0);
  assert.match(stdout, /I am domain 1, called hello\./);
  assert.match(stdout, /\n {2}name = "hello"\r\n/);
  assert.match(stdout, /\n {4}static-max = "16384"\r\n/);
  const hour = new Date().toISOString().slice(11, 13);
  assert.match(
    stdout,
    new RegExp(`The time is (?:${hour}|${String((Number(hour) + 23) % 24).padStart(2, "0")}):\\d\\d:\\d\\d UTC`),
  );
  assert.match(stdout, /Processor: GenuineIntel\r\nHypervisor: XenVMMXenVMM, version 4\./);
  assert.match(stdout, /Port 1: leads to domain 0, port \d+\r\n/);
  assert.match(stdout, /There is no such command/);
  assert.match(stdout, /Powering off\.\r\n$/);
});

test("hello: a triple fault is told with registers and the console's last lines, and status 135", () => {
  const { status, stdout, stderr } = xenolith(["hello"], "crash\n");
  assert.equal(status, 135);
  assert.match(stdout, /Goodbye\.\r\n$/);
  assert.match(stderr, /"hello" was ended by a triple fault\n/);
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
