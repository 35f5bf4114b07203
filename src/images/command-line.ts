/** The kernel command line an image boots with when the user gives none. */

/**
 * @param messages "quiet" leaves the console to what runs in the guest; "all" shows the kernel's messages as it boots.
 */
export function imageCommandLine(messages: "quiet" | "all"): string {
  // A PVH guest gets no console by default: hvc0 is built in but must be named. A panic ends the domain at once.
  return ["console=hvc0", "panic=-1", ...(messages === "quiet" ? ["quiet", "loglevel=1"] : ["loglevel=7"])].join(" ");
}
