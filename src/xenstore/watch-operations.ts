/** The operations on watches and transactions. docs/misc/xenstore.txt, "Watches" and "Transactions". */

import { XENSTORE_SERVER_FEATURE } from "../abi/io/xs_wire.ts";
import { OK } from "./call.ts";
import type { Call } from "./call.ts";
import type { Answer } from "./clients.ts";
import { forgetWatches } from "./connection.ts";
import { canonicalPath } from "./path.ts";
import { decimal, joinStrings, onlyString, strings } from "./text.ts";
import { Transaction } from "./transaction.ts";
import { eventPath, watchOf } from "./watches.ts";

/** WATCH: tells the client of changes from now on, and once at the start. */
export function watch(call: Call): Answer {
  const { client, database } = call;
  const [given, token, levels, ...more] = strings(call.payload);
  if (given === undefined || token === undefined || more.length > 0) return "EINVAL";
  let depth: number | undefined;
  if (levels !== undefined) {
    depth = decimal(levels);
    if ((client.features & XENSTORE_SERVER_FEATURE.WATCHDEPTH) === 0 || depth < 0) return "EINVAL";
  }
  const path = watchPath(call, given);
  if (path === undefined) return "EINVAL";
  if (client.watches.some((each) => each.path === path && each.token === token)) return "EEXIST";

  const { accounts } = database;
  const { account } = client;
  if (account.watches >= accounts.limit(account, "watches")) return "ENOSPC";
  const bytes = path.length + token.length;
  if (account.memory + bytes > accounts.limit(account, "memory")) return "ENOMEM";
  account.watches++;
  account.memory += bytes;
  const added = watchOf(given, path, token, depth, client.implicit);
  client.watches.push(added);
  call.afterReply = () => client.event(eventPath(added, path), token, undefined);
  return OK;
}

/** UNWATCH: both path and token must be those of the watch. */
export function unwatch(call: Call): Answer {
  const { client } = call;
  const [given, token, ...more] = strings(call.payload);
  if (given === undefined || token === undefined || more.length > 0) return "EINVAL";
  const path = watchPath(call, given);
  if (path === undefined) return "EINVAL";
  const found = client.watches.find((each) => each.path === path && each.token === token);
  if (found === undefined) return "ENOENT";
  client.watches = client.watches.filter((each) => each !== found);
  client.account.watches--;
  client.account.memory -= path.length + token.length;
  return OK;
}

/** RESET_WATCHES: forgets all watches and transactions, as after kexec. */
export function resetWatches({ client }: Call): Answer {
  forgetWatches(client, client.account);
  return OK;
}

/** TRANSACTION_START: answers the id that the client's requests name from then on. */
export function transactionStart({ client, database, transaction }: Call): Answer {
  if (transaction !== undefined) return "EBUSY";
  const { account } = client;
  if (account.transactions >= database.accounts.limit(account, "transactions")) return "ENOSPC";
  while (client.nextTransaction === 0 || client.transactions.has(client.nextTransaction)) {
    client.nextTransaction = (client.nextTransaction + 1) >>> 0;
  }
  const id = client.nextTransaction;
  client.nextTransaction = (id + 1) >>> 0;
  client.transactions.set(id, new Transaction(id, database, account));
  account.transactions++;
  return joinStrings([String(id)]);
}

/** TRANSACTION_END: `T` makes the changes everyone's, `F` drops them. */
export function transactionEnd({ client, payload, transaction }: Call): Answer {
  const verdict = onlyString(payload);
  if (verdict !== "T" && verdict !== "F") return "EINVAL";
  if (transaction === undefined) return "ENOENT";
  client.transactions.delete(transaction.id);
  client.account.transactions--;
  if (verdict === "F") {
    transaction.discard();
    return OK;
  }
  const result = transaction.commit();
  return result === "committed" ? OK : result;
}

function watchPath({ client, database }: Call, given: string): string | undefined {
  const longest = database.accounts.limit(client.account, "path-max");
  return canonicalPath(given, client.implicit, "special-allowed", longest);
}
