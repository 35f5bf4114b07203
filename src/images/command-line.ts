/** The kernel command line an image boots with when the user gives none. */

/** The crypto manager's self-tests are two thirds of a cloud kernel's boot, and tell nothing about a virtual processor. */
const noSelfTests = "cryptomgr.notests";

/**
 * @param messages "quiet" leaves the console to what runs in the guest; "all" shows the kernel's messages as it boots.
 */
export function imageCommandLine(messages: "quiet" | "all"): string {
  // A PVH guest gets no console by default: hvc0 is built in but must be named. A panic ends the domain at once.
  return [
    "console=hvc0",
    "panic=-1",
    noSelfTests,
    ...(messages === "quiet" ? ["quiet", "loglevel=1"] : ["loglevel=7"]),
  ].join(" ");
}
