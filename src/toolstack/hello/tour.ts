/** The built-in tour: two domains that only xenstore tells of each other. */

import { XenbusState } from "../../abi/io/xenbus.ts";
import type { StoreClient } from "../../xenstore/client.ts";
import { domainPath } from "../../xenstore/path.ts";
import type { Permission } from "../../xenstore/permissions.ts";
import type { Guest } from "../guest.ts";
import type { Host } from "../host.ts";
import { helloKernel, worldKernel } from "./program.ts";

/** Bytes: the guests have no use for more. */
const MEMORY = 16 << 20;

/** The two domains of a tour, running. */
export interface Tour {
  /** The one with a prompt on its console. */
  readonly hello: Guest;
  /** Its back end, whose console only says that it is there. */
  readonly world: Guest;
}

/**
 * Starts the tour.
 * @throws XenError: see {@link Host.create}.
 */
export async function startTour(host: Host): Promise<Tour> {
  const create = (name: string, kernel: Uint8Array): Promise<Guest> =>
    host.create({ name, kernel, kernelName: name, commandLine: "", memoryBytes: MEMORY, vcpus: 1, paused: true });
  const hello = await create("hello", helloKernel());
  const world = await create("world", worldKernel());
  introduceDevice(host.store, hello, world);
  hello.unpause();
  world.unpause();
  return { hello, world };
}

/**
 * Makes a device of type "tour": the front end's and the back end's directories, each its domain's own and readable for
 * the other, which is all that a toolstack does to bring two drivers together. libxl: libxl__device_generic_add()
 */
function introduceDevice(store: StoreClient, front: Guest, back: Guest): void {
  const frontPath = `${domainPath(front.id)}/device/tour/0`;
  const backPath = `${domainPath(back.id)}/backend/tour/${front.id}/0`;
  const between = (owner: Guest, other: Guest): readonly Permission[] => [
    { domain: owner.id, rights: "n" },
    { domain: other.id, rights: "r" },
  ];
  const parents = (id: Guest["id"]): readonly Permission[] => [
    { domain: 0, rights: "n" },
    { domain: id, rights: "r" },
  ];
  store.transaction((tree) => {
    const put = (path: string, value: string | number, permissions: readonly Permission[]): void => {
      tree.write(path, String(value));
      tree.setPermissions(path, permissions);
    };
    put(`${domainPath(front.id)}/device/tour`, "", parents(front.id));
    put(`${domainPath(back.id)}/backend`, "", parents(back.id));
    put(`${domainPath(back.id)}/backend/tour`, "", parents(back.id));
    put(`${domainPath(back.id)}/backend/tour/${front.id}`, "", parents(back.id));
    const state = XenbusState.Initialising;
    const frontNodes = { "": "", backend: backPath, "backend-id": back.id, state };
    const backNodes = { "": "", frontend: frontPath, "frontend-id": front.id, online: 1, state };
    for (const [name, value] of Object.entries(frontNodes)) {
      put(name === "" ? frontPath : `${frontPath}/${name}`, value, between(front, back));
    }
    for (const [name, value] of Object.entries(backNodes)) {
      put(name === "" ? backPath : `${backPath}/${name}`, value, between(back, front));
    }
  });
}
