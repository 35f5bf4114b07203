/**
 * Where QEMU's processor is not what the manual describes, by the tests that show it. In each of these the manual decides, and the
 * test cites it. What QEMU does instead is what version 7.2 does, without hardware's help.
 */

/** A difference that is QEMU's. */
export interface Gap {
  /** How the names of the tests begin that show it. */
  readonly test: string;
  /** What QEMU does. */
  readonly why: string;
  /** What may differ by it; without, everything may: the program goes another way. */
  readonly differs?: RegExp;
}

const RESERVED = "tells of a reserved bit without telling that the page is present";
const RESERVED_CODE = /^\[[78]f[df]0\]: (?:8, 9|e, f)$/;

export const gaps: readonly Gap[] = [
  {
    test: "a trap gate leaves IF alone, and IST",
    why: "loads a null SS for every IST, not only where the privilege changes",
    differs: /^SS/,
  },
  { test: "in long mode, an IST slot beyond the TSS", why: "loads a null SS for every IST", differs: /^SS/ },
  {
    test: "INT n is refused: the gate",
    why: "multiplies the vector by 16, not 8, in the error code for a gate of IA-32e mode",
    differs: /^\[[78]fd[01]\]/,
  },
  {
    test: "an exception whose gate is not present",
    why: "multiplies the vector by 16 in the error code, and does not set EXT",
    differs: /^\[7fd0\]/,
  },
  { test: "an exception whose code segment is not present", why: "does not set EXT", differs: /^\[7fd0\]/ },
  { test: "an exception through a task gate whose task has a null SS", why: "does not set EXT", differs: /^\[67fc\]/ },
  {
    test: "a stack that cannot be pushed on",
    why: "loads a null SS for every IST; names another of the frame's words, all of which fault, in CR2",
    differs: /^(?:SS|CR2)/,
  },
  { test: "INT3, INT1 and UD2", why: "has no INT1" },
  {
    test: "IRETQ to ring 3, SYSCALL, SYSRETQ",
    why: "SYSCALL loses CF and DF, and clears the RPL of SS",
    differs: /^(?:SI|R14):/,
  },
  { test: "IRETQ is refused: RIP is not canonical", why: "does not look whether RIP is canonical" },
  { test: "SYSRETQ to a non-canonical address", why: "does not look whether RIP is canonical" },
  {
    test: "an interrupt sets the accessed bits",
    why: "sets no accessed bit here, but in MOV to a segment register",
    differs: /^(?:[CS]S.flags|\[105[5d]\]):/,
  },
  {
    test: "a conforming segment",
    why: "sets no accessed bit here, but in MOV to a segment register",
    differs: /^(?:CS.flags|\[(?:1055|23008)\]):/,
  },
  {
    test: "a task switch loads the LDT and every segment",
    why: "sets no accessed bit here, but in MOV to a segment register",
    differs: /^(?:FS.flags|\[1200d\]):/,
  },
  {
    test: "an inner stack that is not present",
    why: "raises #TS instead of #SS for a stack segment that is not present",
  },
  {
    test: "RET far to an outer ring",
    why: "raises #NP instead of #SS for a stack segment that is not present",
    differs: /^IP: 40b1/,
  },
  { test: "an inner stack that is with too little room", why: "has no segment limits" },
  { test: "loading a segment sets its accessed bit and takes", why: "has no segment limits" },
  {
    test: "a task whose SS is bad",
    why: "saves the address of the instruction that switched, not of the task's first",
    differs: /^\[11020\]/,
  },
  {
    test: "a task switch is refused",
    why: "saves the address of the instruction that switched, not of the task's first",
    differs: /^\[11020\]/,
  },
  {
    test: "a 16-bit TSS keeps the low halves",
    why: "keeps the upper halves of registers, of which the manual does not speak",
    differs: /^AX:/,
  },
  { test: "the T bit of a TSS", why: "has no T bit" },
  { test: "CR0: ", why: "takes most values for CR0" },
  { test: "CR3: bits beyond", why: "takes any value for CR3" },
  { test: "CR4: reserved bits", why: "takes most values for CR4, and does not look at CR3 for PCIDE" },
  { test: "CR8 is the platform's", why: "has a local APIC of its own" },
  { test: "DR6 and DR7: fixed bits", why: "lets bits be set that are always 0", differs: /^DR[67]:/ },
  { test: "DR7.GD", why: "has no general detection" },
  { test: "WRMSR is refused", why: "looks at few values that are written to MSRs" },
  {
    test: "WRMSR: bases, PAT and EFER",
    why: "has another OF behind SHR by 32, which leaves it undefined",
    differs: /^FL:/,
  },
  { test: "SWAPGS, WRFSBASE", why: "does not look whether a base is canonical" },
  { test: "LAR and LSL of system descriptors", why: "knows 16-bit types in IA-32e mode", differs: /^(?:BX|CX|DX|FL):/ },
  {
    test: "LTR marks the TSS busy",
    why: "knows 16-bit types in IA-32e mode, null selectors and bases that are not canonical",
  },
  { test: "INVLPG and INVPCID", why: "has no INVPCID" },
  {
    test: "FXRSTOR64 and FXSAVE64",
    why: "keeps no opcode and addresses of the last x87 instruction",
    differs: /^\[6[0-9a-f]{3}\]/,
  },
  {
    test: "XSAVE and XRSTOR",
    why: "keeps no opcode and addresses of the last x87 instruction",
    differs: /^\[6[0-9a-f]{3}\]/,
  },
  { test: "FXSAVE and FXRSTOR: alignment", why: "takes any value for MXCSR" },
  { test: "LDMXCSR and STMXCSR", why: "takes any value for MXCSR" },
  { test: "paging: rights of the last level", why: RESERVED, differs: RESERVED_CODE },
  { test: "paging: each level takes rights away", why: RESERVED, differs: RESERVED_CODE },
  {
    test: "paging: pages of 2 MiB and 1 GiB",
    why: `${RESERVED}, and sets A in the entry that has it`,
    differs: /^\[7fd0\]: 8, 9$|^\[21008\]: a3, 83$/,
  },
  { test: "paging: an entry of the top level may not be large", why: RESERVED, differs: RESERVED_CODE },
  { test: "paging: pages of 4 MiB", why: RESERVED, differs: RESERVED_CODE },
  { test: "paging: the processor's own accesses", why: "has the program's exception for them where AC is set" },
  { test: "paging: a non-canonical address", why: "raises #GP for the stack too", differs: /^(?:IP: 40d1|SS)/ },
  { test: "paging: alignment is checked", why: "does not check alignment" },
  { test: "translations: PCIDs keep", why: "takes bit 63 of what is written to CR3 for a part of the address" },
];
