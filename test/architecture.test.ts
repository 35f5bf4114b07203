/** The rules that keep the layers apart, on this repository; and each rule on a small one with a violation seeded. */
import assert from "node:assert/strict";
import { execSync, spawnSync } from "node:child_process";
import { globSync, readFileSync, statSync } from "node:fs";
import { test } from "node:test";
import { coreLayers, importsObeyLayers, layersAreDescribed, noCycles, permissions } from "./architecture/layers.ts";
import type { Repository, Rule } from "./architecture/repository.ts";
import {
  citationsResolve,
  filesAreShort,
  lockfileIsPortable,
  namesNoMachine,
  references,
  semanticsLiveInInstructions,
} from "./architecture/text.ts";

/** All files that are tracked or would be, or, without git, all that are there. */
function thisRepository(): Repository {
  const git = spawnSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], { encoding: "utf8" });
  const paths =
    git.status === 0 ? git.stdout.split("\0") : globSync("{*,.ci/*,{src,test,docs,bin,bench,scripts}/**/*.*}");
  return new Map(
    paths
      .filter((path) => path !== "" && statSync(path, { throwIfNoEntry: false })?.isFile() === true)
      .map((path) => [path, readFileSync(path, "utf8")]),
  );
}

/** Hosts of this machine's package registries, and the directory of this clone. Debian's country mirrors are public names. */
function machineNames(): string[] {
  const registry = execSync("npm config get registry", { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  const apt = globSync(["/etc/apt/sources.list", "/etc/apt/sources.list.d/*"]).map((path) =>
    readFileSync(path, "utf8"),
  );
  const hosts = [registry, ...apt].flatMap((text) =>
    [...text.matchAll(/https?:\/\/(?:[^@/\s]*@)?([\w.-]+)/g)].map(([, host = ""]) => host),
  );
  const directory = process.cwd();
  const deep = directory.split("/").length > 2;
  return [
    ...new Set(hosts.filter((host) => !/^ftp\.\w+\.debian\.org$/.test(host))),
    ...(deep ? [`${directory}/`] : []),
  ];
}

const rules: Readonly<Record<string, Rule>> = {
  "each layer says in its README what it may import": layersAreDescribed,
  "imports obey the layers": importsObeyLayers,
  "nothing imports itself": noCycles,
  "files have at most 400 lines": filesAreShort,
  "instructions' semantics live in x86/instructions": semanticsLiveInInstructions,
  "citations are in docs/references.md": citationsResolve,
  "the lockfile names no registry and pins what users run": lockfileIsPortable,
};

const repository = thisRepository();

for (const [name, rule] of Object.entries(rules)) {
  test(`architecture: ${name}`, () => {
    assert.deepEqual([...new Set(rule(repository))], []);
  });
}

test("architecture: no file names a registry's host or a directory of this machine", () => {
  const secrets = machineNames();
  assert.ok(secrets.length > 0);
  assert.deepEqual(namesNoMachine(secrets)(repository), []);
});

test("architecture: there is something to judge", () => {
  assert.ok(coreLayers(repository).length >= 10);
  assert.ok(permissions(repository).size >= 12);
  assert.ok(references(repository).length >= 10);
});

/** A repository without a fault, of two core layers, one host layer and one instruction. */
const sample: Repository = new Map([
  ["package.json", '{ "dependencies": { "commander": "1" }, "devDependencies": { "fast-check": "1" } }'],
  [
    "package-lock.json",
    '{ "packages": { "": {}, "node_modules/commander": { "version": "1", "integrity": "sha512-x" } } }',
  ],
  ["tsconfig.core.json", '{ "include": ["src/abi", "src/bits", "src/engine", "src/x86"] }'],
  ["docs/references.md", "- **Intel SDM**: the manual\n- **xen/include/**: headers\n"],
  ["src/bits/README.md", "# bits\n\nMay import: nothing.\n"],
  ["src/bits/struct.ts", '/** Intel SDM Vol. 1, "Flags". */\nexport const a = 1;\n'],
  [
    "src/bits/struct.test.ts",
    'import { test } from "node:test";\nimport fc from "fast-check";\nimport { a } from "./struct.ts";\n',
  ],
  ["src/abi/README.md", "# abi\n\nMay import: `bits`.\n"],
  ["src/abi/errno.ts", 'import { a } from "../bits/struct.ts";\n'],
  ["src/x86/README.md", "# x86\n\nMay import: bits\n"],
  [
    "src/x86/instruction.ts",
    "export interface Instruction { readonly semantics: (ir: number) => void }\nexport function instruction(x: Instruction) {}\n",
  ],
  [
    "src/x86/instructions/add.ts",
    'export const add = instruction({ mnemonic: "add", encodings: ["00 Eb,Gb"], semantics(ir) {} });\n',
  ],
  ["src/engine/README.md", "# engine\n\nMay import: bits, x86/instruction.ts\n"],
  ["src/engine/run.ts", 'import type { Instruction } from "../x86/instruction.ts";\ninstruction.semantics(ir);\n'],
  ["src/cli/README.md", "# cli\n\nMay import: bits, abi\n"],
  [
    "src/cli/main.ts",
    'import { readFileSync } from "node:fs";\nimport { Command } from "commander";\nimport "../abi/errno.ts";\n',
  ],
]);

test("architecture: the rules find nothing in a repository without a fault", () => {
  for (const [name, rule] of Object.entries(rules)) assert.deepEqual(rule(sample), [], name);
});

/** What is put in place of, or beside, the sample's files, and what the rule must then say. */
const seeds: readonly (readonly [rule: Rule, files: Readonly<Record<string, string>>, expected: RegExp])[] = [
  [layersAreDescribed, { "src/disks/raw.ts": "" }, /disks\/README\.md: missing/],
  [layersAreDescribed, { "src/abi/README.md": "# abi\n" }, /has no line/],
  [layersAreDescribed, { "src/abi/README.md": `May import: bits\n${"\n".repeat(12)}x` }, /14 lines/],
  [layersAreDescribed, { "src/abi/README.md": "May import: everything\n" }, /"everything" is neither/],
  [layersAreDescribed, { "src/abi/README.md": "May import: bits, cli\n" }, /core layer may not import cli/],
  [layersAreDescribed, { "src/engine/README.md": "May import: abi\n" }, /engine may never import abi/],
  [layersAreDescribed, { "src/engine/README.md": "May import: abi/errno.ts\n" }, /engine may never import abi/],
  [
    importsObeyLayers,
    { "src/bits/a.ts": 'import type { x } from "../abi/errno.ts";\n' },
    /bits may not import abi\/errno\.ts/,
  ],
  [importsObeyLayers, { "src/abi/a.ts": 'await import("../engine/run.ts");\n' }, /abi may not import engine/],
  [
    importsObeyLayers,
    { "src/abi/a.ts": 'new Worker(new URL("../engine/run.ts", import.meta.url));\n' },
    /abi may not import engine/,
  ],
  [
    importsObeyLayers,
    { "src/engine/a.ts": 'import "../x86/instructions/add.ts";\n' },
    /engine may not import x86\/instructions/,
  ],
  [importsObeyLayers, { "src/abi/a.test.ts": 'import "../cli/main.ts";\n' }, /a\.test\.ts: abi may not import cli/],
  [importsObeyLayers, { "src/abi/a.ts": 'import "node:fs";\n' }, /node:fs in a layer that knows no host/],
  [importsObeyLayers, { "src/abi/a.ts": 'import { Command } from "commander";\n' }, /the core has no dependencies/],
  [importsObeyLayers, { "src/cli/a.ts": 'import fc from "fast-check";\n' }, /not in package\.json's dependencies/],
  [importsObeyLayers, { "src/abi/a.ts": 'import "./errno";\n' }, /does not end in \.ts/],
  [importsObeyLayers, { "src/abi/a.ts": 'import "./gone.ts";\n' }, /gone\.ts does not exist/],
  [importsObeyLayers, { "src/abi/a.ts": 'import "../../scripts/test.ts";\n' }, /outside of src/],
  [
    noCycles,
    { "src/abi/a.ts": 'import "./b.ts";', "src/abi/b.ts": 'import type { A } from "./a.ts";' },
    /a\.ts → src\/abi\/b\.ts → /,
  ],
  [filesAreShort, { "src/abi/a.ts": "x\n".repeat(401) }, /401 lines/],
  [semanticsLiveInInstructions, { "src/engine/a.ts": "const x = instruction({});" }, /describes an instruction/],
  [
    semanticsLiveInInstructions,
    { "src/engine/a.ts": "const x = { semantics(ir, a) { ir.add(a); } };" },
    /gives an instruction's/,
  ],
  [
    semanticsLiveInInstructions,
    { "src/engine/a.ts": "const x = { semantics: (ir) => ir.add(1) };" },
    /gives an instruction's/,
  ],
  [semanticsLiveInInstructions, { "src/engine/a.ts": 'const x = { encodings: ["90  -"] };' }, /gives an instruction's/],
  [semanticsLiveInInstructions, { "src/engine/a.ts": "switch (decoded.mnemonic) {}" }, /switches on a mnemonic/],
  [semanticsLiveInInstructions, { "src/engine/a.ts": 'if (it.mnemonic === "add") f();' }, /compares a mnemonic/],
  [semanticsLiveInInstructions, { "src/engine/a.ts": 'if ("add" === it.mnemonic) f();' }, /compares a mnemonic/],
  [semanticsLiveInInstructions, { "src/engine/a.ts": "handlers[it.mnemonic]();" }, /decides by a mnemonic/],
  [semanticsLiveInInstructions, { "src/engine/a.ts": 'if (mnemonic.startsWith("rep")) f();' }, /decides by a mnemonic/],
  [semanticsLiveInInstructions, { "src/engine/a.ts": "if (special.has(it.mnemonic)) f();" }, /looks a mnemonic up/],
  [citationsResolve, { "src/abi/a.ts": "/** RFC 793. */" }, /"RFC 793" is not in/],
  [
    citationsResolve,
    { "src/abi/a.ts": '/** As the AMD APM\n * Vol. 2, "Paging", has it. */' },
    /"AMD APM Vol. 2" is not in/,
  ],
  [citationsResolve, { "src/abi/a.ts": "// psABI §3.1.2" }, /"psABI §3" is not in/],
  [citationsResolve, { "src/abi/a.ts": "/** Xen: evtchn_send(). */" }, /"Xen: evtchn_send\(\)\." is not in/],
  [citationsResolve, { "src/abi/a.ts": "/** See notes.md. */" }, /notes\.md is not in this repository/],
  [
    lockfileIsPortable,
    {
      "package-lock.json": '{ "packages": { "node_modules/a": { "integrity": "x", "resolved": "https://h/a.tgz" } } }',
    },
    /a has a resolved URL/,
  ],
  [
    lockfileIsPortable,
    { "package-lock.json": '{ "packages": { "node_modules/a": { "version": "1" } } }' },
    /a has no integrity/,
  ],
  [
    namesNoMachine(["mirror.example"]),
    { "src/abi/a.ts": '"https://mirror.example/debian"' },
    /a\.ts: names mirror\.example/,
  ],
];

for (const [rule, files, expected] of seeds) {
  test(`architecture: a seeded violation is found: ${expected.source}`, () => {
    const found = rule(new Map([...sample, ...Object.entries(files)]));
    assert.ok(
      found.some((violation) => expected.test(violation)),
      `found only: ${found.join("; ")}`,
    );
  });
}
