/** Node names: what is one, and how a relative one resolves. docs/misc/xenstore.txt, "Permitted names". */

import { XENSTORE_ABS_PATH_MAX } from "../abi/io/xs_wire.ts";

/** Where a domain's own nodes live, and what its relative paths begin with. */
export function domainPath(domain: number): string {
  return `/local/domain/${domain}`;
}

/**
 * The absolute form of a path as a client gave it, or undefined if it is not one: EINVAL on the wire.
 * @param implicit what a relative path begins with; see {@link domainPath}.
 * @param special whether names such as `@releaseDomain` are allowed here.
 * @param longest the quota `path-max` of the client, which does not count a leading `/local/domain/<domid>/`.
 */
export function canonicalPath(
  path: string | undefined,
  implicit: string,
  special: "special-allowed" | "ordinary",
  longest: number,
): string | undefined {
  if (path === undefined || !/^[-A-Za-z0-9/_@]*$/.test(path)) return undefined;
  if (path.startsWith("@") && special === "ordinary") return undefined;
  const name = isRelative(path) ? `${implicit}/${path}` : path;
  if (name.length > XENSTORE_ABS_PATH_MAX) return undefined;
  if ((name !== "/" && name.endsWith("/")) || name.includes("//")) return undefined;
  const local = /^\/local\/domain\/\d{1,5}\//.exec(name)?.[0].length ?? 0;
  return name.length - local <= longest ? name : undefined;
}

/** Whether a client meant a path relative to its own domain's. */
export function isRelative(path: string): boolean {
  return !path.startsWith("/") && !path.startsWith("@");
}

/** The containing node; the root for the root and for special nodes. */
export function parentPath(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash > 0 ? path.slice(0, slash) : "/";
}

/** The last part of a path. */
export function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** A child's path. */
export function childPath(path: string, child: string): string {
  return path === "/" ? `/${child}` : `${path}/${child}`;
}

/** The steps from the forest that holds the root (step "") and the special nodes down to a node. */
export function steps(path: string): string[] {
  return path === "/" ? [""] : path.split("/");
}
