import { seeded } from "../mutation.ts";
import type { Mutation } from "../mutation.ts";

const server = ["src/xenstore/access.test.ts", "src/xenstore/server.test.ts"];
const model = [...server, "src/xenstore/model.test.ts"];
const ring = ["src/xenstore/ring.test.ts"];

/** Bugs in the xenstore server. */
export const xenstore: readonly Mutation[] = [
  ...seeded("src/xenstore/permissions.ts", server, [
    ["whoever may write may change permissions", 'if (access === "own") return false;', ""],
    [
      "an entry for a domain that is gone counts for its successor",
      "!entry.ignored && names(entry, holder)",
      "names(entry, holder)",
    ],
    [
      "the right to write is one to read",
      'rights === (access === "read" ? "r" : "w")',
      'rights === "r" || rights === "w"',
    ],
    ["a domain id of 0x10000 is taken", "return domain <= 0xffff ?", "return domain <= 0x10000 ?"],
  ]),
  ...seeded("src/xenstore/node-operations.ts", server, [
    [
      "a guest may give its nodes away",
      'if (!client.privileged && owner.domain !== ownerOf(node)) return "EPERM";',
      "",
    ],
    [
      "who may not see a node is told that it is not there",
      'if (node !== undefined) return { kind: "refused", error: "EACCES" };',
      'if (node !== undefined) return { kind: "absent", path };',
    ],
    [
      "a guest may have a node more than its quota",
      'if (nodes > database.accounts.limit(account, "nodes")) return "ENOSPC";',
      'if (nodes - 1 > database.accounts.limit(account, "nodes")) return "ENOSPC";',
    ],
    [
      "a node may be larger than its quota",
      'if (recordSize(record) > accounts.limit(account, "node-size")) return "ENOSPC";',
      "",
    ],
    [
      "a new node belongs to its parent's owner",
      "i === 0 && !client.privileged ? { ...entry, domain: client.domain } : entry,",
      "i < 0 ? { ...entry, domain: client.domain } : entry,",
    ],
    [
      "RM tells of the node alone",
      'call.scope.happened({ path: each, match: each === path ? "subtree" : "exact" });',
      'if (each === path) call.scope.happened({ path: each, match: "subtree" });',
    ],
    ["the root can be removed", 'if (path === "/") return "EINVAL";', ""],
    [
      "a part of a directory may overrun the message",
      "const room = XENSTORE_PAYLOAD_MAX - generation.length - 1;",
      "const room = XENSTORE_PAYLOAD_MAX - 1;",
    ],
  ]),
  ...seeded("src/xenstore/transaction.ts", model, [
    ["a conflict is not noticed", 'if (this.#conflicts()) return "EAGAIN";', ""],
    [
      "a node that vanished meanwhile is no conflict",
      "(findNode(current, path)?.generation ?? NO_GENERATION) !== generation",
      "(findNode(current, path)?.generation ?? generation) !== generation",
    ],
    ["a transaction that failed half-way is committed", 'if (this.#failed) return "ENOMEM";', ""],
    [
      "what a transaction made is not counted",
      "for (const [owner, { nodes, bytes }] of this.#pending) this.#database.charge(owner, nodes, bytes);",
      "",
    ],
    ["a commit replaces what others changed", "merge(this.#base, this.#forest, this.#database.forest)", "this.#forest"],
  ]),
  ...seeded("src/xenstore/transaction.ts", server, [
    [
      "a transaction may look at a node too many",
      "if (this.#accessed.size >= most) {",
      "if (this.#accessed.size > most) {",
    ],
    ["a transaction that is dropped keeps its memory", "this.#account.memory -= this.#held;", ""],
  ]),
  ...seeded("src/xenstore/watches.ts", server, [
    [
      "a watch sees one level more than its depth",
      'path.slice(prefix.length).split("/").length <= depth',
      'path.slice(prefix.length).split("/").length <= depth + 1',
    ],
    [
      "a watch sees siblings whose name begins as its own",
      'const prefix = above === "/" ? "/" : `${above}/`;',
      "const prefix = above;",
    ],
    [
      "events of relative watches have absolute paths",
      "isRelative(given) ? implicit.length + 1 : 0",
      "isRelative(given) ? 0 : 0",
    ],
  ]),
  ...seeded("src/xenstore/watch-operations.ts", server, [
    [
      "a guest may have a watch more than its quota",
      'if (account.watches >= accounts.limit(account, "watches")) return "ENOSPC";',
      'if (account.watches > accounts.limit(account, "watches")) return "ENOSPC";',
    ],
    [
      "the same watch can be set twice",
      'if (client.watches.some((each) => each.path === path && each.token === token)) return "EEXIST";',
      "",
    ],
    [
      "a watch does not fire at the start",
      "call.afterReply = () => client.event(eventPath(added, path), token, undefined);",
      "",
    ],
    ["a transaction's end is not counted", "client.account.transactions--;", ""],
  ]),
  ...seeded("src/xenstore/domains.ts", server, [
    [
      "watchers hear of nodes that they may not read",
      "if (watches.length === 0 || !this.#mayKnow(client, happening)) continue;",
      "if (watches.length === 0) continue;",
    ],
    [
      "a domain's rights outlive it",
      "node.permissions.filter((entry, i) => i === 0 || entry.domain !== domain)",
      "node.permissions.filter(() => true)",
    ],
  ]),
  ...seeded("src/xenstore/server.ts", server, [
    [
      "domain 0's operations are for everyone",
      'if (operation.privileged && !client.privileged) return ["EACCES", undefined];',
      "",
    ],
    [
      "a transaction that does not exist is no transaction",
      'if (named && transaction === undefined) return ["ENOENT", undefined];',
      "",
    ],
  ]),
  ...seeded("src/xenstore/ring.ts", ring, [
    [
      "a full ring is believed to be broken",
      'if (filled > XENSTORE_RING_SIZE) return "bad-index";',
      'if (filled >= XENSTORE_RING_SIZE) return "bad-index";',
    ],
    ["indices that make no sense are believed", 'if (filled > XENSTORE_RING_SIZE) return "bad-index";', ""],
    [
      "a message does not wrap around the ring's end",
      "Math.min(total - done, XENSTORE_RING_SIZE - start)",
      "total - done",
    ],
    ["the guest is not told that there is room", "if (changed) ring();", ""],
  ]),
  ...seeded("src/xenstore/connection.ts", ring, [
    [
      "a payload that is too long is waited for",
      "if (len > XENSTORE_PAYLOAD_MAX) return this.#giveUp(XENSTORE_ERROR.PROTO);",
      "",
    ],
    ["events that nobody takes are kept", "<= now;", "< -now;"],
  ]),
];
