import { spawn } from "node:child_process";

/** How a run of test files ended. */
export type TestRun =
  | { readonly kind: "passed" }
  /** A test failed, of this name. */
  | { readonly kind: "failed"; readonly test: string }
  | { readonly kind: "timeout" }
  /** A file could not be loaded, or the process ended before it reported: this says nothing of what the tests test. */
  | { readonly kind: "unusable"; readonly why: string };

/**
 * Runs test files in one process until the first failure.
 * @param directory the tree they are in.
 * @param timeout milliseconds.
 */
export function runTests(directory: string, files: readonly string[], timeout: number): Promise<TestRun> {
  const options = ["--test", "--test-isolation=none", "--test-reporter=tap", ...files];
  const child = spawn(process.execPath, options, { cwd: directory, stdio: ["ignore", "pipe", "pipe"] });
  const abandon = (): void => void child.kill("SIGKILL");
  process.once("exit", abandon);
  return new Promise((resolve) => {
    let result: TestRun | undefined;
    let pending = "";
    let passed = 0;
    let trouble = "";
    const conclude = (end: TestRun): void => {
      result ??= end;
      child.kill("SIGKILL");
    };
    const timer = setTimeout(() => conclude({ kind: "timeout" }), timeout);
    child.stderr.setEncoding("utf8").on("data", (text: string) => (trouble = (trouble + text).slice(-2000)));
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      const lines = (pending + text).split("\n");
      pending = lines.pop() ?? "";
      for (const line of lines) {
        const [, not, name = ""] = /^\s*(not )?ok \d+ - (.*)$/.exec(line) ?? [];
        if (not === undefined) passed += line.trimStart().startsWith("ok ") ? 1 : 0;
        // A file that cannot be loaded is reported as a test of its own name.
        else if (files.includes(name)) trouble = `${name} cannot be loaded`;
        else conclude({ kind: "failed", test: name.replaceAll("\\#", "#") });
      }
    });
    child.on("close", (status) => {
      clearTimeout(timer);
      process.off("exit", abandon);
      const good = status === 0 && passed > 0;
      resolve(result ?? (good ? { kind: "passed" } : { kind: "unusable", why: reason(trouble, status) }));
    });
  });
}

function reason(trouble: string, status: number | null): string {
  const line = trouble.split("\n").find((each) => /Error|cannot be loaded/.test(each));
  return line?.trim() ?? `ended with status ${status} and no failed test`;
}
