/** The nodes that a domain finds in xenstore, as libxl makes them. tools/libs/light: libxl_create.c, libxl_console.c. */

import { XenbusState } from "../abi/io/xenbus.ts";
import type { DomainId, EventPort } from "../abi/types.ts";
import type { StoreClient } from "../xenstore/client.ts";
import type { StoreAccess } from "../xenstore/client.ts";
import { domainPath } from "../xenstore/path.ts";
import type { Permission } from "../xenstore/permissions.ts";

/** What the nodes of a domain say. */
export interface StoreDescription {
  readonly id: DomainId;
  readonly name: string;
  readonly uuid: string;
  readonly memoryBytes: number;
  readonly vcpus: number;
  /** Seconds since 1970. */
  readonly started: number;
  readonly storePort: EventPort;
  readonly storeFrame: number;
  readonly consolePort: EventPort;
  readonly consoleFrame: number;
}

/** Makes all nodes of a new domain, in one transaction. */
export function createNodes(store: StoreClient, domain: StoreDescription): void {
  const { id } = domain;
  const home = domainPath(id);
  const vm = `/vm/${domain.uuid}`;
  const back = `${domainPath(0)}/backend/console/${id}/0`;
  const readable: Permission[] = [
    { domain: 0, rights: "n" },
    { domain: id, rights: "r" },
  ];
  const own: Permission[] = [{ domain: id, rights: "n" }];

  store.transaction((tree) => {
    const put = (
      permissions: readonly Permission[],
      nodes: Readonly<Record<string, string | number>>,
      at: string,
    ): void => {
      for (const [name, value] of Object.entries(nodes)) {
        const path = name === "" ? at : `${at}/${name}`;
        tree.write(path, String(value));
        tree.setPermissions(path, permissions);
      }
    };
    put(readable, { "": "", uuid: domain.uuid, name: domain.name, start_time: domain.started }, vm);
    put([{ domain: 0, rights: "n" }], { "": "", type: "pvh" }, `/libxl/${id}`);
    const kibibytes = domain.memoryBytes / 1024;
    put(readable, { "": "", vm, name: domain.name, domid: id }, home);
    put(readable, { "": "", "static-max": kibibytes, target: kibibytes, videoram: 0 }, `${home}/memory`);
    put(readable, { "": "" }, `${home}/cpu`);
    for (let vcpu = 0; vcpu < domain.vcpus; vcpu++) {
      put(readable, { "": "", availability: "online" }, `${home}/cpu/${vcpu}`);
    }
    put(readable, { "": "", port: domain.storePort, "ring-ref": domain.storeFrame }, `${home}/store`);
    put(readable, { "": "" }, `${home}/control`);
    const platform = { "platform-feature-multiprocessor-suspend": 1, "platform-feature-xs_reset_watches": 1 };
    put(readable, platform, `${home}/control`);
    for (const name of ["shutdown", "feature-poweroff", "feature-reboot", "feature-suspend", "sysrq"]) {
      put(own, { [name]: "" }, `${home}/control`);
    }
    put(readable, { "": "" }, `${home}/device`);
    put(readable, { "": "" }, `${home}/device/suspend`);
    put(own, { "event-channel": "" }, `${home}/device/suspend`);
    for (const name of ["data", "drivers", "feature", "attr", "error"]) put(own, { [name]: "" }, home);
    put(readable, { "": "" }, `${home}/platform`);
    const front = {
      "": "",
      backend: back,
      "backend-id": 0,
      limit: 1_048_576,
      type: "xenconsoled",
      output: "pty",
      tty: "",
      port: domain.consolePort,
      "ring-ref": domain.consoleFrame,
    };
    put(readable, front, `${home}/console`);
    const state = XenbusState.Initialising;
    const backEnd = { "": "", frontend: `${home}/console`, "frontend-id": id, online: 1, state, protocol: "vt100" };
    put(readable, backEnd, back);
  });
}

/** Removes what {@link createNodes} made, and what was added below. */
export function removeNodes(store: StoreAccess, id: DomainId, uuid: string): void {
  for (const path of [domainPath(id), `/vm/${uuid}`, `/libxl/${id}`, `${domainPath(0)}/backend/console/${id}`]) {
    if (store.find(path) !== undefined) store.remove(path);
  }
}
