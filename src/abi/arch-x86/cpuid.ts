/** xen/include/public/arch-x86/cpuid.h: the leaves at 0x40000000 by which a guest recognises Xen. */

/** The first of Xen's leaves. */
export const XEN_CPUID_FIRST_LEAF = 0x40000000;
/** How many leaves follow the first. */
export const XEN_CPUID_MAX_NUM_LEAVES = 5;

/** "XenVMMXenVMM", in EBX, ECX and EDX of the first leaf. */
export const XEN_CPUID_SIGNATURE = { EBX: 0x566e6558, ECX: 0x65584d4d, EDX: 0x4d4d566e } as const;

/** Leaf 3, subleaf 0, EAX. */
export const XEN_CPUID_TSC = { EMULATED: 1 << 0, HOST_RELIABLE: 1 << 1, RDTSCP_INSTR_AVAIL: 1 << 2 } as const;

/** Leaf 4, subleaf 0, EAX: XEN_HVM_CPUID_*. */
export const XEN_HVM_CPUID = {
  APIC_ACCESS_VIRT: 1 << 0,
  X2APIC_VIRT: 1 << 1,
  IOMMU_MAPPINGS: 1 << 2,
  VCPU_ID_PRESENT: 1 << 3,
  DOMID_PRESENT: 1 << 4,
  EXT_DEST_ID: 1 << 5,
  UPCALL_VECTOR: 1 << 6,
} as const;
