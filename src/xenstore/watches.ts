/** Watches: who asked to be told of what. docs/misc/xenstore.txt, WATCH. */

import { isRelative } from "./path.ts";

/** One client's interest in a node and what is below it. */
export interface Watch {
  /** Canonical. */
  readonly path: string;
  readonly token: string;
  /** How many levels below the path count, or undefined for all of them. */
  readonly depth: number | undefined;
  /** What to cut from the front of event paths: the client named its path relative to its own domain. */
  readonly hidden: number;
}

/** Which watches a change concerns. Xen: enum watch_match. */
export type Match =
  /** The watch's own path and everything below it, to the watch's depth. */
  | "subtree"
  /** Only watches of exactly this path: a node that vanished with its parent. */
  | "exact"
  /** Special nodes with a domain id: the watch's own path, or below it for watches that have a depth. */
  | "with-depth"
  /** Special nodes without a domain id: watches without a depth. */
  | "without-depth";

/**
 * A watch on a path.
 * @param given the path as the client wrote it; event paths take the same form.
 * @param implicit what its relative paths begin with.
 */
export function watchOf(
  given: string,
  path: string,
  token: string,
  depth: number | undefined,
  implicit: string,
): Watch {
  return { path, token, depth, hidden: isRelative(given) ? implicit.length + 1 : 0 };
}

/** Whether a change of `path` concerns the watch. */
export function concerns(watch: Watch, path: string, match: Match): boolean {
  switch (match) {
    case "subtree":
      return covers(watch, path);
    case "exact":
      return path === watch.path;
    case "with-depth":
      return path === watch.path || ((watch.depth ?? 0) > 0 && covers(watch, path));
    case "without-depth":
      return path === watch.path && watch.depth === undefined;
  }
}

/** The path that an event carries: relative where the watch was. */
export function eventPath(watch: Watch, path: string): string {
  return path.slice(watch.hidden);
}

function covers({ path: above, depth }: Watch, path: string): boolean {
  if (path === above) return true;
  const prefix = above === "/" ? "/" : `${above}/`;
  if (!path.startsWith(prefix)) return false;
  return depth === undefined || path.slice(prefix.length).split("/").length <= depth;
}
