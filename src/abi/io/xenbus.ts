/** xen/include/public/io/xenbus.h: the states that both halves of a device go through. */
export const XenbusState = {
  Unknown: 0,
  Initialising: 1,
  /** Initialised, waiting for what the peer or a hotplug script will say. */
  InitWait: 2,
  /** Waiting for the peer to connect. */
  Initialised: 3,
  Connected: 4,
  /** Going away, because of an error or an unplug. */
  Closing: 5,
  Closed: 6,
  Reconfiguring: 7,
  Reconfigured: 8,
} as const;
export type XenbusState = (typeof XenbusState)[keyof typeof XenbusState];
