/** Rules about what stands in files: their length, what they cite, where instructions are described, what must not leak. */
import { type Repository, type Rule, comments, isTest, sources, withoutComments } from "./repository.ts";

const MAX_LINES = 400;

/** A file is a page: if it needs an index, it is two files. */
export const filesAreShort: Rule = (repository) =>
  [...repository]
    .filter(([path]) => /^(?:src|test|scripts|bin|bench)\/.*\.(?:ts|js)$/.test(path))
    .map(([path, text]) => [path, text.trimEnd().split("\n").length] as const)
    .filter(([, lines]) => lines > MAX_LINES)
    .map(([path, lines]) => `${path}: ${lines} lines, at most ${MAX_LINES}: split it`);

/** Where an instruction may be described, and where the description's own type is. */
const INSTRUCTIONS = "src/x86/instructions/";
const INSTRUCTION_TYPE = "src/x86/instruction.ts";

/** What turns text into rows or rows into text has to do with names: the assembler, the interpreter's profile. */
const NAMES = ["src/x86/assemble/", "src/engine/hot-profile.ts"];

/**
 * What an instruction does is said in x86/instructions and nowhere else (D3): elsewhere nothing describes one, and
 * nothing decides by a mnemonic, which is a name for people. Tests may.
 */
export const semanticsLiveInInstructions: Rule = (repository) =>
  sources(repository)
    .filter(([path]) => !path.startsWith(INSTRUCTIONS) && path !== INSTRUCTION_TYPE && !isTest(path))
    .flatMap(([path, text]) => {
      const code = withoutComments(text);
      const named = NAMES.some((prefix) => path.startsWith(prefix));
      const found = [
        [/(?<![.\w])instruction\(/, "describes an instruction"],
        [
          /(?<![.\w])semantics\s*\([^)]*\)\s*\{|(?<![.\w])semantics:\s*(?:\(|function)|(?<![.\w])encodings:\s*\[/,
          "gives an instruction's semantics",
        ],
        [/switch \([^)]*\bmnemonic\b/, "switches on a mnemonic"],
        [/\bmnemonic\s*[!=]==?|[!=]==?\s*[\w.?]*\bmnemonic\b/, "compares a mnemonic"],
        [
          /\[[\w.?]*\bmnemonic\]|\bmnemonic\??\.(?:startsWith|endsWith|includes|match|slice|at)\(/,
          "decides by a mnemonic",
        ],
        [/\.(?:get|has|includes)\([\w.?]*\bmnemonic\)/, "looks a mnemonic up"],
      ] as const;
      return found
        .filter(([pattern, what]) => pattern.test(code) && !(named && what.includes("a mnemonic")))
        .map(([, what]) => `${path}: ${what}: only ${INSTRUCTIONS} may`);
    });

/** The citation prefixes that docs/references.md pins: its bold words at the beginnings of lines. */
export function references(repository: Repository): string[] {
  const text = repository.get("docs/references.md") ?? "";
  return [...text.matchAll(/^(?:- |\| )\*\*(.+?)\*\*/gm)].map(([, prefix = ""]) => prefix);
}

/** What looks like a citation: a place in a document, or the name of a family of documents. */
const CITATIONS: readonly RegExp[] = [
  /\bRFC \d+/g,
  /\bXSA-\d+/g,
  /\b(?:[A-Z][\w.-]*|psABI)(?: [A-Z][\w.-]*){0,3},? Vol\. \d/g,
  /\b(?:[A-Z][\w.-]*|psABI)(?: (?!§)[\w.-]+){0,3},? §[\dA-Z]/g,
  /\bxen\/(?:include|arch|common)\/[\w./-]+/g,
  /\bXen: \S+/g,
  /\bLinux: \S+/g,
];

/** A comment's citations begin with what docs/references.md lists, and the documents of ours that it names exist. */
export const citationsResolve: Rule = (repository) => {
  const known = references(repository);
  const pinned = repository.get("docs/references.md") ?? "";
  const documents = [...repository.keys()].filter((path) => path.endsWith(".md"));
  return sources(repository).flatMap(([path, text]) =>
    comments(text).flatMap((comment) => {
      const cited = CITATIONS.flatMap((pattern) => [...comment.matchAll(pattern)].map(([whole]) => whole));
      const named = [...comment.matchAll(/(?<![\w:/-])([\w/-]+\.md)\b/g)].map(([, name = ""]) => name);
      return [
        ...cited
          .filter((citation) => !known.some((prefix) => citation.includes(prefix)))
          .map((citation) => `${path}: "${citation}" is not in docs/references.md`),
        ...named
          .filter((name) => !pinned.includes(name))
          .filter((name) => !documents.some((document) => document === name || document.endsWith(`/${name}`)))
          .map((name) => `${path}: ${name} is not in this repository`),
      ];
    }),
  );
};

/** The lockfile names no registry, and pins what it can: the Node that runs everything, and all that runs in it. */
export const lockfileIsPortable: Rule = (repository) => {
  const path = "package-lock.json";
  const { packages = {} } = JSON.parse(repository.get(path) ?? "{}") as {
    packages?: Record<string, { resolved?: string; integrity?: string; dev?: boolean; link?: boolean }>;
  };
  return Object.entries(packages)
    .filter(([name]) => name !== "")
    .flatMap(([name, { resolved, integrity, dev }]) => [
      ...(resolved === undefined
        ? []
        : [`${path}: ${name} has a resolved URL: npm install --omit-lockfile-registry-resolved`]),
      ...(integrity !== undefined || dev === true ? [] : [`${path}: ${name} has no integrity`]),
    ]);
};

/** No file names a host or a directory of the machine that it was written on. */
export const namesNoMachine =
  (secrets: readonly string[]): Rule =>
  (repository) =>
    [...repository].flatMap(([path, text]) =>
      secrets
        .filter((secret) => text.includes(secret))
        .map((secret) => `${path}: names ${secret}, which is this machine's`),
    );
