/** xen/include/public/hvm/params.h: HVM_PARAM_*. */
export const HVM_PARAM = {
  /** How events interrupt the guest: see {@link HVM_PARAM_CALLBACK_TYPE}. */
  CALLBACK_IRQ: 0,
  STORE_PFN: 1,
  STORE_EVTCHN: 2,
  PAE_ENABLED: 4,
  IOREQ_PFN: 5,
  BUFIOREQ_PFN: 6,
  VIRIDIAN: 9,
  TIMER_MODE: 10,
  HPET_ENABLED: 11,
  IDENT_PT: 12,
  DM_DOMAIN: 13,
  ACPI_S_STATE: 14,
  VM86_TSS: 15,
  VPT_ALIGN: 16,
  CONSOLE_PFN: 17,
  CONSOLE_EVTCHN: 18,
  ACPI_IOPORTS_LOCATION: 19,
  MEMORY_EVENT_CR0: 20,
  MEMORY_EVENT_CR3: 21,
  MEMORY_EVENT_CR4: 22,
  MEMORY_EVENT_INT3: 23,
  NESTEDHVM: 24,
  MEMORY_EVENT_SINGLE_STEP: 25,
  BUFIOREQ_EVTCHN: 26,
  PAGING_RING_PFN: 27,
  MONITOR_RING_PFN: 28,
  SHARING_RING_PFN: 29,
  MEMORY_EVENT_MSR: 30,
  /** The SHUTDOWN reason of a triple fault. */
  TRIPLE_FAULT_REASON: 31,
  IOREQ_SERVER_PFN: 32,
  NR_IOREQ_SERVER_PAGES: 33,
  VM_GENERATION_ID_ADDR: 34,
  ALTP2M: 35,
  X87_FIP_WIDTH: 36,
  VM86_TSS_SIZED: 37,
  MCA_CAP: 38,
} as const;

/** One more than the highest parameter. */
export const HVM_NR_PARAMS = 39;

/** Bits 63:56 of CALLBACK_IRQ. */
export const HVM_PARAM_CALLBACK_TYPE = {
  /** Bits 55:0: the line of an I/O APIC; 0 for none. */
  GSI: 0,
  PCI_INTX: 1,
  /** Bits 7:0: a vector, the same on every vCPU, that needs no end of interrupt. */
  VECTOR: 2,
} as const;
