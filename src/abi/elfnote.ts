/** xen/include/public/elfnote.h: types of the ELF notes named "Xen" with which a kernel describes itself. */
export const XEN_ELFNOTE = {
  INFO: 0,
  ENTRY: 1,
  HYPERCALL_PAGE: 2,
  VIRT_BASE: 3,
  PADDR_OFFSET: 4,
  XEN_VERSION: 5,
  GUEST_OS: 6,
  GUEST_VERSION: 7,
  LOADER: 8,
  PAE_MODE: 9,
  FEATURES: 10,
  BSD_SYMTAB: 11,
  HV_START_LOW: 12,
  L1_MFN_VALID: 13,
  SUSPEND_CANCEL: 14,
  INIT_P2M: 15,
  MOD_START_PFN: 16,
  SUPPORTED_FEATURES: 17,
  /** The 32-bit physical entry point: the kernel can start as a PVH domain. */
  PHYS32_ENTRY: 18,
  /** Alignment, lowest and highest address to which a PVH kernel may be moved. */
  PHYS32_RELOC: 19,
} as const;
