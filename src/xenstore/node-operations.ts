/** The operations on nodes. docs/misc/xenstore.txt, "Database read, write and permissions operations". */

import { XENSTORE_PAYLOAD_MAX } from "../abi/io/xs_wire.ts";
import { OK } from "./call.ts";
import type { Call } from "./call.ts";
import type { Answer, ErrorName } from "./clients.ts";
import { baseName, canonicalPath, parentPath } from "./path.ts";
import { formatPermission, parsePermission, permits } from "./permissions.ts";
import type { Access, Permission } from "./permissions.ts";
import { ownerOf, recordSize, walkLeavesFirst } from "./store.ts";
import type { Node } from "./store.ts";
import { decimal, fromBytes, joinStrings, onlyString, strings, toBytes } from "./text.ts";

type Located =
  | { readonly kind: "found"; readonly path: string; readonly node: Node }
  /** Not there, and the client may know it. */
  | { readonly kind: "absent"; readonly path: string }
  | { readonly kind: "refused"; readonly error: ErrorName };

/** DIRECTORY: the names of a node's children. */
export function directory(call: Call): Answer {
  return reading(call, onlyString(call.payload), "ordinary", (node) => joinStrings([...node.children.keys()]));
}

/** READ: a node's value. */
export function read(call: Call): Answer {
  return reading(call, onlyString(call.payload), "ordinary", (node) => node.value);
}

/** GET_PERMS: a node's permissions. */
export function getPermissions(call: Call): Answer {
  return reading(call, onlyString(call.payload), "special-allowed", (node) =>
    joinStrings(node.permissions.map(formatPermission)),
  );
}

/** DIRECTORY_PART: for lists of names that do not fit in one reply. An empty last string marks the end. */
export function directoryPart(call: Call): Answer {
  const [path, from] = strings(call.payload);
  if (path === undefined || from === undefined || strings(call.payload).length !== 2) return "EINVAL";
  return reading(call, path, "ordinary", (node) => {
    const generation = `${node.generation}\0`;
    const names = fromBytes(joinStrings([...node.children.keys()]));
    const offset = decimal(from) >>> 0;
    if (offset >= names.length) return toBytes(`${generation}\0`);
    const room = XENSTORE_PAYLOAD_MAX - generation.length - 1;
    const rest = names.slice(offset);
    if (rest.length <= room) return toBytes(`${generation}${rest}\0`);
    const end = rest.lastIndexOf("\0", room - 1) + 1;
    return toBytes(generation + rest.slice(0, end));
  });
}

/** WRITE: sets a value; makes the node and those above it where they are missing. */
export function write(call: Call): Answer {
  const end = call.payload.indexOf(0);
  if (end < 0) return "EINVAL";
  const value = call.payload.slice(end + 1);
  const located = locate(call, fromBytes(call.payload.subarray(0, end)), "write", "ordinary");
  if (located.kind === "refused") return located.error;
  const { path } = located;
  if (located.kind === "found") {
    const error = overQuota(call, { ...located.node, value }, value.length - located.node.value.length);
    if (error !== undefined) return error;
    call.scope.change(path, { value });
  } else {
    const error = create(call, path, value);
    if (error !== undefined) return error;
  }
  call.scope.happened({ path, match: "subtree" });
  return OK;
}

/** MKDIR: makes a node, unless it is there. */
export function makeDirectory(call: Call): Answer {
  const located = locate(call, onlyString(call.payload), "write", "ordinary");
  if (located.kind === "refused") return located.error;
  if (located.kind === "found") return OK;
  const error = create(call, located.path, new Uint8Array());
  if (error !== undefined) return error;
  call.scope.happened({ path: located.path, match: "subtree" });
  return OK;
}

/** RM: removes a node and all below it. One that is not there is fine, if its parent is. */
export function remove(call: Call): Answer {
  const located = locate(call, onlyString(call.payload), "write", "ordinary");
  if (located.kind === "refused") return located.error;
  const { path } = located;
  if (located.kind === "absent") return call.scope.node(parentPath(path)) === undefined ? "ENOENT" : OK;
  if (path === "/") return "EINVAL";
  call.scope.node(parentPath(path));
  for (const { path: each } of walkLeavesFirst(located.node, path)) {
    call.scope.node(each);
    // While the node can still be seen, so that its permissions decide who is told.
    call.scope.happened({ path: each, match: each === path ? "subtree" : "exact" });
  }
  call.scope.remove(path);
  return OK;
}

/** SET_PERMS: only the owner and domain 0 may, and only domain 0 may give a node away. */
export function setPermissions(call: Call): Answer {
  const { client, database, domains, scope } = call;
  const [given, ...entries] = strings(call.payload);
  if (given === undefined || entries.length === 0) return "EINVAL";
  if (entries.length > database.accounts.limit(client.account, "node-permissions")) {
    return "ENOSPC";
  }
  const permissions: Permission[] = [];
  for (const entry of entries) {
    const permission = parsePermission(entry);
    if (permission === undefined) return "EINVAL";
    permissions.push(domains.exists(permission.domain) ? permission : { ...permission, ignored: true });
  }
  const [owner] = permissions;
  if (owner === undefined || owner.ignored) return "ENOENT";

  const located = locate(call, given, "own", "special-allowed");
  if (located.kind === "refused") return located.error;
  if (located.kind === "absent") return "ENOENT";
  const { path, node } = located;
  if (!client.privileged && owner.domain !== ownerOf(node)) return "EPERM";
  const error = overQuota(call, { ...node, permissions }, 8 * (permissions.length - node.permissions.length));
  if (error !== undefined) return error;
  scope.change(path, { permissions });
  scope.happened({ path, match: "subtree", permissions: node.permissions });
  return OK;
}

function reading(
  call: Call,
  given: string | undefined,
  special: "special-allowed" | "ordinary",
  answer: (node: Node) => Uint8Array,
): Answer {
  const located = locate(call, given, "read", special);
  if (located.kind === "refused") return located.error;
  return located.kind === "absent" ? "ENOENT" : answer(located.node);
}

/**
 * Finds the node that a client means, if it may have the access. A client that may not have it at the nearest node
 * above either is not told whether the node exists. Xen: get_node_chk_perm(), errno_from_parents().
 */
function locate(
  { client, database, scope }: Call,
  given: string | undefined,
  access: Access,
  special: "special-allowed" | "ordinary",
): Located {
  const longest = database.accounts.limit(client.account, "path-max");
  const path = canonicalPath(given, client.implicit, special, longest);
  if (path === undefined) return { kind: "refused", error: "EINVAL" };
  const node = scope.node(path);
  if (node !== undefined && permits(node.permissions, client, access)) return { kind: "found", path, node };
  if (node !== undefined) return { kind: "refused", error: "EACCES" };
  const above = nearestAbove(scope, path);
  return permits(above.node.permissions, client, access === "own" ? "write" : access)
    ? { kind: "absent", path }
    : { kind: "refused", error: "EACCES" };
}

function nearestAbove(scope: Call["scope"], path: string): { readonly path: string; readonly node: Node } {
  let above = parentPath(path);
  let node = scope.node(above);
  while (node === undefined && above !== "/") {
    above = parentPath(above);
    node = scope.node(above);
  }
  return { path: above, node: node ?? UNREACHABLE_ROOT };
}

/** Stands for the root where a transaction may look at no further node: nobody may do anything. */
const UNREACHABLE_ROOT: Node = { value: new Uint8Array(), permissions: [], children: new Map(), generation: -1 };

/** Makes a node and those missing above it, with the permissions of the nearest that exists. */
function create(call: Call, path: string, value: Uint8Array): ErrorName | undefined {
  const { client, database, scope } = call;
  const above = nearestAbove(scope, path);
  const missing: string[] = [];
  for (let each = path; each !== above.path; each = parentPath(each)) missing.unshift(each);
  const [first] = missing;
  if (first === undefined) return "EINVAL";

  const { account } = client;
  const nodes = account.nodes + scope.pendingNodes(client.domain) + missing.length;
  if (nodes > database.accounts.limit(account, "nodes")) return "ENOSPC";

  const permissions = above.node.permissions.map((entry, i) =>
    i === 0 && !client.privileged ? { ...entry, domain: client.domain } : entry,
  );
  const names = path.length - above.path.length + missing.length;
  const wider = { ...above.node, children: new Map(above.node.children).set(baseName(first), above.node) };
  const record = { ...above.node, permissions, value, children: new Map() };
  const grown = value.length + names + missing.length * (16 + 8 * permissions.length + path.length);
  const error = overQuota(call, record, grown) ?? overQuota(call, wider, 0);
  if (error !== undefined) return error;

  for (const each of missing) scope.add(each, each === path ? value : new Uint8Array(), permissions);
  return undefined;
}

/** Whether a record would become too large, or a domain's records together. Xen: write_node_raw(). */
function overQuota({ client, database }: Call, record: Node, grown: number): ErrorName | undefined {
  const { accounts } = database;
  const { account } = client;
  if (recordSize(record) > accounts.limit(account, "node-size")) return "ENOSPC";
  if (grown > 0 && account.memory + grown > accounts.limit(account, "memory")) return "ENOMEM";
  return undefined;
}
