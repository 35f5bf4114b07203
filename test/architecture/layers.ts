/** Who may import whom: the line `May import: …` in each layer's README.md is the law, and these rules keep it. */
import { type Repository, type Rule, isTest, layerOf, resolve, sources, specifiers } from "./repository.ts";

const README_LINES = 12;

/** Layers that talk to the operating system. */
const hostLayers: readonly string[] = ["host/node", "daemon", "cli"];

/** Promises that no README can take back. `D` is the decision that says why. */
const never: readonly (readonly [layer: string, target: string, why: string])[] = [
  ["engine", "abi", "the engine has never heard of Xen (D8)"],
  ["x86", "abi", "the architecture has never heard of Xen (D8)"],
  ["backends", "hypervisor", "a back end could run in another domain (D5)"],
  ["xenstore", "hypervisor", "the xenstore server could run in another domain (D5)"],
  ["hypervisor", "backends", "devices are not the hypervisor's (D9)"],
];

/** The layers without a host: those that tsconfig.core.json compiles without one. */
export function coreLayers(repository: Repository): string[] {
  const config = repository.get("tsconfig.core.json") ?? "";
  return [...config.matchAll(/"src\/([^"*]+)"/g)].map(([, layer = ""]) => layer);
}

/** What each layer may import, as its README says: layers, or files of layers. */
export function permissions(repository: Repository): Map<string, readonly string[]> {
  const found = new Map<string, readonly string[]>();
  for (const [path, text] of repository) {
    if (!/^src\/(?:[^/]+|host\/[^/]+)\/README\.md$/.test(path)) continue;
    const line = /^May import: (.+)$/m.exec(text)?.[1];
    if (line === undefined) continue;
    const names = line.replaceAll(/[`.]$|`/g, "").split(", ");
    found.set(layerOf(path), names[0] === "nothing" ? [] : names);
  }
  return found;
}

/** Each layer has a README of at most 12 lines, which says what the layer may import, in names that exist. */
export const layersAreDescribed: Rule = (repository) => {
  const known = permissions(repository);
  const layers = new Set(sources(repository).map(([path]) => layerOf(path)));
  layers.delete("");
  const core = new Set(coreLayers(repository));
  return [...layers].flatMap((layer) => {
    const path = `src/${layer}/README.md`;
    const text = repository.get(path);
    if (text === undefined) return [`${path}: missing`];
    const allowed = known.get(layer);
    if (allowed === undefined) return [`${path}: has no line "May import: …"`];
    const lines = text.trimEnd().split("\n").length;
    return [
      ...(lines > README_LINES ? [`${path}: ${lines} lines, at most ${README_LINES}`] : []),
      ...allowed
        .filter((name) => !layers.has(name) && !repository.has(`src/${name}`))
        .map((name) => `${path}: "${name}" is neither a layer nor a file of one`),
      ...allowed
        .filter((name) => core.has(layer) && !core.has(name.split("/")[0] ?? ""))
        .map((name) => `${path}: a core layer may not import ${name}`),
      ...never
        .filter(
          ([from, target]) =>
            from === layer && allowed.some((name) => name === target || name.startsWith(`${target}/`)),
        )
        .map(([, target, why]) => `${path}: ${layer} may never import ${target}: ${why}`),
    ];
  });
};

function mayImport(layer: string, target: string, allowed: readonly string[]): boolean {
  const to = layerOf(target);
  return to === layer || allowed.includes(to) || allowed.includes(target.replace(/^src\//, ""));
}

/** Imports are relative, end in `.ts`, exist, and go where the layer may; a layer of the core has no dependency. */
export const importsObeyLayers: Rule = (repository) => {
  const allowed = permissions(repository);
  const core = new Set(coreLayers(repository));
  const manifest = JSON.parse(repository.get("package.json") ?? "{}") as Record<string, Record<string, string>>;
  const dependencies = Object.keys(manifest["dependencies"] ?? {});
  const development = Object.keys(manifest["devDependencies"] ?? {});
  const packageName = (specifier: string) => specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
  return sources(repository).flatMap(([path, text]) => {
    const layer = layerOf(path);
    const test = isTest(path);
    return specifiers(text).flatMap((specifier) => {
      if (specifier.startsWith("node:")) {
        if (test || hostLayers.includes(layer)) return [];
        return [`${path}: ${specifier} in a layer that knows no host`];
      }
      if (specifier.startsWith(".")) {
        const target = resolve(path, specifier);
        if (!target.startsWith("src/")) return test ? [] : [`${path}: ${target} is outside of src`];
        if (!specifier.endsWith(".ts")) return [`${path}: "${specifier}" does not end in .ts`];
        if (!repository.has(target)) return [`${path}: ${target} does not exist`];
        // A unit test of the core may take what it needs of the rest of the core to run what it tests.
        if (test && core.has(layer) && core.has(layerOf(target))) return [];
        if (layer === "" || mayImport(layer, target, allowed.get(layer) ?? [])) return [];
        return [`${path}: ${layer} may not import ${target.slice("src/".length)}`];
      }
      const name = packageName(specifier);
      if (test && development.includes(name)) return [];
      if (core.has(layer)) return [`${path}: ${specifier}: the core has no dependencies`];
      return dependencies.includes(name) ? [] : [`${path}: ${specifier} is not in package.json's dependencies`];
    });
  });
};

/** No file reaches itself by imports, type-only ones included. */
export const noCycles: Rule = (repository) => {
  const graph = new Map(
    sources(repository).map(([path, text]) => [
      path,
      specifiers(text)
        .filter((specifier) => specifier.startsWith("."))
        .map((specifier) => resolve(path, specifier))
        .filter((target) => repository.has(target) && target !== path),
    ]),
  );
  const violations: string[] = [];
  const finished = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path);
    if (start >= 0) {
      violations.push(`${path}: imports itself: ${[...trail.slice(start), path].join(" → ")}`);
      return;
    }
    if (finished.has(path)) return;
    for (const target of graph.get(path) ?? []) visit(target, [...trail, path]);
    finished.add(path);
  };
  for (const path of graph.keys()) visit(path, []);
  return violations;
};
