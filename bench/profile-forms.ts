/**
 * Profiles which forms of instructions a boot and everyday programs execute most, and rewrites the list in
 * src/engine/hot-profile.ts: `node bench/profile-forms.ts [COUNT]`. Counts, not times: the machine may be busy.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { nodeMachine } from "../src/host/node/machine.ts";
import type { FormCounts } from "../src/toolstack/pcpu.ts";
import { runInGuest } from "./guest/profiled.ts";

const count = Number(process.argv[2] ?? 150);
const profileFile = new URL("../src/engine/hot-profile.ts", import.meta.url);

/** Each counts alike, however long it takes. */
const workloads = [
  "true",
  "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done",
  "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do /bin/true; ls / | sort | wc -l; done",
  "head -c 300000 /bin/busybox | gzip | gunzip | sha256sum; head -c 1000000 /bin/busybox | md5sum",
  "awk 'BEGIN { for (i = 0; i < 5000; i++) s += i / 3; print s }'; find / -xdev | sort | uniq | tail -1; vi --help | sed s/a/b/g",
];

async function profile(command: string): Promise<FormCounts> {
  let counts: FormCounts = [];
  const machine = nodeMachine();
  await runInGuest("debian:12", `${command}; poweroff -f`, [], {
    ...machine,
    startPcpu: (assignment, listener) =>
      machine.startPcpu(
        { ...assignment, countForms: true },
        {
          ...listener,
          message(message) {
            if (message.kind === "stopped") counts = message.formCounts ?? [];
            listener.message(message);
          },
        },
      ),
  });
  return counts;
}

const shares = new Map<string, number>();
for (const [position, command] of workloads.entries()) {
  const counts = await profile(command);
  const total = counts.reduce((sum, { count: each }) => sum + each, 0);
  process.stderr.write(`${(total / 1e6).toFixed(0)} million instructions: ${command}\n`);
  for (const { name, count: each } of counts) shares.set(name, (shares.get(name) ?? 0) + each / total);
  if (position === 0 && total === 0) throw new Error("the guest reported no counts");
}
shares.delete("");
const chosen = [...shares].toSorted(([, a], [, b]) => b - a).slice(0, count);
const covered = chosen.reduce((sum, [, share]) => sum + share, 0) / workloads.length;
process.stderr.write(`${chosen.length} forms are ${(covered * 100).toFixed(2)} % of what is executed\n`);

const source = readFileSync(profileFile, "utf8");
const lines = chosen.map(([name]) => `  ${JSON.stringify(name)},\n`).join("");
writeFileSync(profileFile, source.replace(/(const profile: readonly string\[\] = \[\n)[^\]]*(\];)/, `$1${lines}$2`));
