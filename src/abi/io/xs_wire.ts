/** xen/include/public/io/xs_wire.h: xenstore's messages and the page they travel through. */

import { u32 } from "../../bits/integers.ts";
import { bytes, struct } from "../../bits/struct.ts";
import type { Infer } from "../../bits/struct.ts";
import { evtchn_port_t } from "../types.ts";

/** enum xsd_sockmsg_type: XS_*. */
export const XS = {
  CONTROL: 0,
  DIRECTORY: 1,
  READ: 2,
  GET_PERMS: 3,
  WATCH: 4,
  UNWATCH: 5,
  TRANSACTION_START: 6,
  TRANSACTION_END: 7,
  INTRODUCE: 8,
  RELEASE: 9,
  GET_DOMAIN_PATH: 10,
  WRITE: 11,
  MKDIR: 12,
  RM: 13,
  SET_PERMS: 14,
  WATCH_EVENT: 15,
  ERROR: 16,
  IS_DOMAIN_INTRODUCED: 17,
  RESUME: 18,
  SET_TARGET: 19,
  RESET_WATCHES: 21,
  DIRECTORY_PART: 22,
  GET_FEATURE: 23,
  SET_FEATURE: 24,
  GET_QUOTA: 25,
  SET_QUOTA: 26,
  INVALID: 0xffff,
} as const;
export type XS = (typeof XS)[keyof typeof XS];

/** The errors that a reply of type XS.ERROR spells out. */
export const XSD_ERRORS = [
  "EINVAL",
  "EACCES",
  "EEXIST",
  "EISDIR",
  "ENOENT",
  "ENOMEM",
  "ENOSPC",
  "EIO",
  "ENOTEMPTY",
  "ENOSYS",
  "EROFS",
  "EBUSY",
  "EAGAIN",
  "EISCONN",
  "E2BIG",
  "EPERM",
] as const;
export type XsdError = (typeof XSD_ERRORS)[number];

/** The header of each message; <len> bytes of payload follow. */
export const xsd_sockmsg = struct("xsd_sockmsg", 16, { type: u32, req_id: u32, tx_id: u32, len: u32 });
export type xsd_sockmsg = Infer<typeof xsd_sockmsg>;

/** The fields of a WATCH_EVENT, in order. */
export const XS_WATCH = { PATH: 0, TOKEN: 1 } as const;

/** Bytes of each ring. */
export const XENSTORE_RING_SIZE = 1024;

/** The page shared by a domain and xenstored. Indices run freely. */
export const xenstore_domain_interface = struct("xenstore_domain_interface", 2080, {
  req: bytes(XENSTORE_RING_SIZE),
  rsp: bytes(XENSTORE_RING_SIZE),
  req_cons: u32,
  req_prod: u32,
  rsp_cons: u32,
  rsp_prod: u32,
  server_features: u32,
  connection: u32,
  error: u32,
  evtchn_port: evtchn_port_t,
});
export type xenstore_domain_interface = Infer<typeof xenstore_domain_interface>;

/** The most a payload may hold, and the longest absolute and relative paths, in bytes without the NUL. */
export const XENSTORE_PAYLOAD_MAX = 4096;
export const XENSTORE_ABS_PATH_MAX = 3072;
export const XENSTORE_REL_PATH_MAX = 2048;

/** xenstore_domain_interface.server_features */
export const XENSTORE_SERVER_FEATURE = { RECONNECTION: 1, ERROR: 2, WATCHDEPTH: 4, DOMID_ANY: 8 } as const;

/** xenstore_domain_interface.connection */
export const XENSTORE_CONNECTION = { CONNECTED: 0, RECONNECT: 1 } as const;

/** xenstore_domain_interface.error */
export const XENSTORE_ERROR = { NONE: 0, COMM: 1, RINGIDX: 2, PROTO: 3 } as const;
