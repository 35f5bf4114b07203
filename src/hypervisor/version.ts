/** What the hypervisor says of itself: the Xen interface it speaks, and whose it is. */

/** The version of Xen whose interface guests find. */
export const XEN_VERSION = { major: 4, minor: 20, extra: ".0-xenolith" } as const;

/** XENVER_capabilities: the kinds of guest that run. */
export const CAPABILITIES = "hvm-3.0-x86_32 hvm-3.0-x86_32p hvm-3.0-x86_64 ";

/** XENVER_compile_info. */
export const COMPILE_INFO = {
  compiler: "TypeScript, WebAssembly",
  compile_by: "xenolith",
  compile_domain: "",
  compile_date: "",
} as const;

/** XENVER_changeset. */
export const CHANGESET = "unavailable";
