/** What an unprivileged domain may take of the server. Xen: tools/xenstored/domain.c, quotas[]. */

/** The limits by their names in GET_QUOTA and `xenstore_quota=`. 0 is no limit. Memory is bytes. */
export const DEFAULT_QUOTAS = {
  nodes: 1000,
  watches: 128,
  outstanding: 20,
  memory: 2_621_440,
  "soft-memory": 2_097_152,
  transactions: 10,
  "transaction-nodes": 1024,
  "node-permissions": 5,
  "path-max": 2048,
  "node-size": 2048,
} as const;

export type QuotaName = keyof typeof DEFAULT_QUOTAS;

/** Whether a name from the wire is a quota's. */
export function isQuotaName(name: string): name is QuotaName {
  return Object.hasOwn(DEFAULT_QUOTAS, name);
}

/** What one domain has taken, and the limits that were set for it alone. */
export interface Account {
  readonly domain: number;
  readonly own: Map<QuotaName, number>;
  nodes: number;
  /** Bytes of node records, watches, and messages not yet delivered. */
  memory: number;
  watches: number;
  transactions: number;
  /** Requests whose reply, or whose events for others, have not been taken yet. */
  outstanding: number;
}

/** The accounts of all domains, and the limits that hold for each. */
export class Accounts {
  readonly common = new Map<QuotaName, number>(Object.entries(DEFAULT_QUOTAS) as [QuotaName, number][]);
  readonly #accounts = new Map<number, Account>();
  readonly #privileged: (domain: number) => boolean;

  /** @param privileged for whom nothing is limited. */
  constructor(privileged: (domain: number) => boolean) {
    this.#privileged = privileged;
  }

  /** A domain's account, opened when first asked for. */
  of(domain: number): Account {
    let account = this.#accounts.get(domain);
    if (account === undefined) {
      account = { domain, own: new Map(), nodes: 0, memory: 0, watches: 0, transactions: 0, outstanding: 0 };
      this.#accounts.set(domain, account);
    }
    return account;
  }

  /** The limit that holds for a domain; Infinity where there is none. */
  limit(account: Account, name: QuotaName): number {
    if (this.#privileged(account.domain)) return Infinity;
    return account.own.get(name) || this.common.get(name) || Infinity;
  }

  /** Forgets a domain that is gone. What is still counted for it was handed to domain 0 or deleted before. */
  close(domain: number): void {
    this.#accounts.delete(domain);
  }
}
