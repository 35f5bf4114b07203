/** What the rules look at: the text of each file, by its path from the root, with `/` between the parts. */
export type Repository = ReadonlyMap<string, string>;

/** A rule gives one line for each violation, beginning with the path. */
export type Rule = (repository: Repository) => string[];

export const isTest = (path: string): boolean => path.endsWith(".test.ts");

/** The TypeScript of `src`, tests included. */
export function sources(repository: Repository): [path: string, text: string][] {
  return [...repository].filter(([path]) => path.startsWith("src/") && path.endsWith(".ts"));
}

/** The layer that a path under `src` belongs to; "" for the entry points directly in it. */
export function layerOf(path: string): string {
  const parts = path.split("/").slice(1, -1);
  return (parts[0] === "host" ? parts.slice(0, 2) : parts.slice(0, 1)).join("/");
}

/** The same text with comments blanked, so that what is only spoken of does not count. Line numbers stay. */
export function withoutComments(text: string): string {
  const token = /"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g;
  return text.replaceAll(token, (found) => (found.startsWith("/") ? found.replaceAll(/[^\n]/g, " ") : found));
}

/** The comments of a file, each with the runs of `//` lines as one. */
export function comments(text: string): string[] {
  const token = /"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`|\/\*[\s\S]*?\*\/|(?:\/\/[^\n]*\n?[ \t]*)+/g;
  const found = [...text.matchAll(token)].map(([whole]) => whole).filter((whole) => whole.startsWith("/"));
  return found.map((comment) => comment.replaceAll(/\n[ \t]*(?:\*|\/\/)?[ \t]*/g, " "));
}

/** Every module that a file names: static and dynamic imports, re-exports, and the modules of workers. */
export function specifiers(text: string): string[] {
  const code = withoutComments(text);
  const statements = code.matchAll(/^\s*(?:import|export)\b(?:[^"'`;]*\bfrom)?\s*"([^"]+)"/gm);
  const dynamic = code.matchAll(/\bimport\(\s*"([^"]+)"/g);
  const workers = code.matchAll(/\bnew URL\(\s*"(\.[^"]+\.(?:ts|js))"/g);
  return [...statements, ...dynamic, ...workers].map(([, specifier = ""]) => specifier);
}

/** The path that a relative specifier leads to. */
export function resolve(from: string, specifier: string): string {
  const parts = from.split("/").slice(0, -1);
  for (const part of specifier.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== ".") parts.push(part);
  }
  return parts.join("/");
}
