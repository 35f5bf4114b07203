/** The operations by which domain 0 tells of domains, and the server's own. docs/misc/xenstore.txt, "Domain management". */

import { DOMID } from "../abi/xen.ts";
import { OK } from "./call.ts";
import type { Call } from "./call.ts";
import type { Answer } from "./clients.ts";
import { ALL_FEATURES } from "./domains.ts";
import { domainPath } from "./path.ts";
import { DEFAULT_QUOTAS, isQuotaName } from "./quota.ts";
import { decimal, joinStrings, onlyString, strings } from "./text.ts";

/** INTRODUCE: connects a domain, or resets the connection of one that is introduced. */
export function introduce({ domains, payload }: Call): Answer {
  const [domain, frame, port] = strings(payload);
  const id = domainNumber(domain);
  if (id === undefined || id === 0 || frame === undefined || port === undefined || decimal(port) <= 0) return "EINVAL";
  const result = domains.introduce(id, Number(frame), decimal(port));
  return result === "introduced" ? OK : result;
}

/** RELEASE: forgets a domain. */
export function release(call: Call): Answer {
  const id = connectedDomain(call);
  if (typeof id === "string") return id;
  call.domains.findConnection(id)?.resetWatches();
  call.domains.release(id);
  return OK;
}

/** RESUME: a domain that had shut down runs again. */
export function resume(call: Call): Answer {
  const id = connectedDomain(call);
  if (typeof id === "string") return id;
  call.domains.resume(id);
  return OK;
}

/** GET_DOMAIN_PATH: where a domain's nodes live, whether it exists or not. */
export function getDomainPath({ payload }: Call): Answer {
  const id = domainNumber(onlyString(payload));
  return id === undefined ? "EINVAL" : joinStrings([domainPath(id)]);
}

/** IS_DOMAIN_INTRODUCED: T or F. */
export function isDomainIntroduced({ domains, payload }: Call): Answer {
  const id = domainNumber(onlyString(payload));
  if (id === undefined) return "EINVAL";
  const introduced = id === 0 || id === DOMID.SELF || domains.findConnection(id) !== undefined;
  return joinStrings([introduced ? "T" : "F"]);
}

/** SET_TARGET: a domain acts for another: has its rights. */
export function setTarget({ domains, payload }: Call): Answer {
  const [domain, target] = strings(payload).map(domainNumber);
  if (domain === undefined || target === undefined) return "EINVAL";
  const connection = domains.findConnection(domain);
  if (connection === undefined || domains.findConnection(target) === undefined) return "ENOENT";
  connection.target = target;
  return OK;
}

/** GET_FEATURE: the bits offered to the client, or for domain 0 to any domain. */
export function getFeature({ client, domains, payload }: Call): Answer {
  const [given, ...more] = strings(payload);
  if (given === undefined) return joinStrings([String(client.features)]);
  if (!client.privileged) return "EACCES";
  const id = domainNumber(given);
  if (more.length > 0 || id === undefined) return "EINVAL";
  const domain = domains.findDomain(id);
  return domain === undefined ? "ENOENT" : joinStrings([String(domain.features)]);
}

/** SET_FEATURE: for a domain that is not introduced yet. */
export function setFeature({ domains, payload }: Call): Answer {
  const [given, value, ...more] = strings(payload);
  const id = domainNumber(given);
  if (id === undefined || value === undefined || more.length > 0) return "EINVAL";
  const domain = domains.findDomain(id);
  if (domain === undefined) return "ENOENT";
  if (domain.connection !== undefined) return "EBUSY";
  const features = decimal(value);
  if ((features & ~ALL_FEATURES) !== 0) return "EINVAL";
  domain.features = features;
  return OK;
}

/** GET_QUOTA: the names, one quota of all domains, or one of one domain (0 where none is set for it alone). */
export function getQuota({ domains, payload }: Call): Answer {
  const parameters = strings(payload);
  if (parameters.length > 2) return "EINVAL";
  const name = parameters.at(-1);
  if (name === undefined) return joinStrings([Object.keys(DEFAULT_QUOTAS).join(" ")]);
  if (!isQuotaName(name)) return "EINVAL";
  if (parameters.length === 1) return joinStrings([String(domains.accounts.common.get(name) ?? 0)]);
  const id = domainNumber(parameters[0]);
  if (id === undefined) return "EINVAL";
  if (domains.findDomain(id) === undefined) return "ENOENT";
  return joinStrings([String(domains.accounts.of(id).own.get(name) ?? 0)]);
}

/** SET_QUOTA: for all domains, or for one alone. */
export function setQuota({ domains, payload }: Call): Answer {
  const parameters = strings(payload);
  const [name, value] = parameters.slice(-2);
  if (parameters.length < 2 || parameters.length > 3 || name === undefined || value === undefined) return "EINVAL";
  if (!isQuotaName(name) || decimal(value) < 0) return "EINVAL";
  if (parameters.length === 2) {
    domains.accounts.common.set(name, decimal(value));
    return OK;
  }
  const id = domainNumber(parameters[0]);
  if (id === undefined) return "EINVAL";
  if (domains.findDomain(id) === undefined) return "ENOENT";
  domains.accounts.of(id).own.set(name, decimal(value));
  return OK;
}

/** CONTROL: what `xenstore-control` offers of Xen's: `check`, `print`, `quota`, `help`. */
export function control({ domains, payload }: Call): Answer {
  const [command, ...parameters] = strings(payload);
  if (command === "check") return OK;
  if (command === "help") return joinStrings(["check\nhelp\nprint <string>\nquota [<domid>]\n"]);
  if (command === "print" && parameters.length === 1) {
    domains.host.log(`xenstore: control: ${parameters[0]}`);
    return OK;
  }
  if (command !== "quota" || parameters.length > 1) return "EINVAL";
  if (parameters.length === 0) {
    const lines = [...domains.accounts.common].map(([name, value]) => `${name.padEnd(17)}: ${value}\n`);
    return joinStrings([lines.join("")]);
  }
  const id = domainNumber(parameters[0]);
  if (id === undefined) return "EINVAL";
  if (domains.findDomain(id) === undefined) return "ENOENT";
  const { nodes, memory, watches, transactions, outstanding } = domains.accounts.of(id);
  const used = Object.entries({ nodes, watches, transactions, outstanding, memory });
  return joinStrings([`Domain ${id}:\n${used.map(([name, value]) => `${name.padEnd(17)}: ${value}\n`).join("")}`]);
}

function domainNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,5}$/.test(text) && Number(text) <= 0xffff ? Number(text) : undefined;
}

function connectedDomain({ domains, payload }: Call): number | "EINVAL" | "ENOENT" {
  const id = domainNumber(onlyString(payload));
  if (id === undefined || id === 0) return "EINVAL";
  return domains.findConnection(id) === undefined ? "ENOENT" : id;
}
