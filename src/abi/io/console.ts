/** xen/include/public/io/console.h: the PV console's page. */

import { u8, u32 } from "../../bits/integers.ts";
import { bytes, struct } from "../../bits/struct.ts";
import type { Infer } from "../../bits/struct.ts";

/** Bytes of each ring. Indices run freely and are reduced modulo these. */
export const XENCONS_RING = { in: 1024, out: 2048 } as const;

/** xencons_interface.connection */
export const XENCONSOLE = { CONNECTED: 0, DISCONNECTED: 1 } as const;

/** `in`: to the guest; the back end produces. `out`: from the guest. */
export const xencons_interface = struct("xencons_interface", 3092, {
  in: bytes(XENCONS_RING.in),
  out: bytes(XENCONS_RING.out),
  in_cons: u32,
  in_prod: u32,
  out_cons: u32,
  out_prod: u32,
  connection: u8,
});
export type xencons_interface = Infer<typeof xencons_interface>;
