/** Instructions that native execution in user mode cannot judge, by mnemonic, and why. Guests test these instead. */

const reasons = {
  system: "enters the host's kernel",
  kernel: "emulated by the host's kernel (UMIP)",
  hypervisor: "changed or answered by the host's hypervisor",
  host: "its result belongs to the host (time, random numbers, CPU identity)",
  vendor: "AMD's processors have it only outside IA-32e mode",
  monitor: "may stop the host's processor",
} as const;

const byMnemonic: Readonly<Record<string, keyof typeof reasons>> = {
  syscall: "system",
  sysenter: "system",
  sysexit: "vendor",
  sgdt: "kernel",
  sidt: "kernel",
  sldt: "kernel",
  smsw: "kernel",
  str: "kernel",
  int1: "hypervisor",
  vmcall: "hypervisor",
  vmmcall: "hypervisor",
  cpuid: "host",
  rdtsc: "host",
  rdtscp: "host",
  rdpid: "host",
  rdpmc: "host",
  rdrand: "host",
  rdseed: "host",
  xgetbv: "host",
  monitor: "monitor",
  mwait: "monitor",
};

/** @returns why an instruction is not compared with the host's, or undefined if it is. */
export function whyExcluded(mnemonic: string): string | undefined {
  const key = byMnemonic[mnemonic];
  return key === undefined ? undefined : reasons[key];
}
