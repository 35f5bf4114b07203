/**
 * The firmware of QEMU's machine: it puts RAM and model-specific registers as the mailbox says, and enters the state to run
 * through system-management mode, whose RSM loads a whole processor from memory, hidden parts of segments included.
 */

import { program } from "./program.ts";

/** Where things are that are no test's: above the RAM that tests have. */
export const Mailbox = {
  /** SMBASE; the handler is 8000h above. */
  managementBase: 0x200_0000,
  /**
   * Words: 1 while there is a state to run, how many records and MSRs there are, 0, CR2, DR0 to DR3, XCR0. Then an FXSAVE image,
   * a state-save area, and lists of three words: an MSR and its value; where to copy dwords to, from (0: zeros), how many.
   */
  control: 0x300_0000,
  fxsave: 0x300_0800,
  state: 0x300_0c00,
  msrs: 0x300_1000,
  records: 0x300_2000,
  contents: 0x310_0000,
  /** Pages that the monitor itself writes, for SMBASE as it is after a reset. */
  scratchPages: [0x38, 0x3f],
} as const;

const ROM_BYTES = 65_536;

/**
 * A system-management interrupt is sent to oneself by the local APIC. The first one's handler only moves SMBASE; the second one's
 * puts the state in the save area's place, and does not come back. What has nothing to run halts: so does a machine that was reset
 * by a triple fault.
 */
const monitor = program(`
    fa                     | start: cli
    662e0f01162801         | lgdt cs:[gdtr]
    0f20c0                 | mov eax, cr0
    0c01                   | or al, 1
    0f22c0                 | mov cr0, eax
    66ea1800ffff0800       | jmp 8:protected
    b810000000             | protected: mov eax, 0x10
    8ed8                   | mov ds, eax
    8ec0                   | mov es, eax
    8ed0                   | mov ss, eax
    bc0000f002             | mov esp, 0x2f00000
    b0ff                   | mov al, 0xff
    e621                   | out 0x21, al
    e6a1                   | out 0xa1, al
    bd00000003             | mov ebp, 0x3000000
    837d0001               | cmp dword [ebp], 1
    7401                   | je begin
    f4                     | hlt
    c7450000000000         | begin: mov dword [ebp], 0
    c70500800300662ec706   | mov dword [0x38000], 0x06c72e66
    c7050480030000ff0000   | mov dword [0x38004], 0x0000ff00
    c7050880030000020faa   | mov dword [0x38008], 0xaa0f0200
    e891000000             | call smi
    be0f01ffff             | mov esi, handler
    bf00800002             | mov edi, 0x2008000
    b919000000             | mov ecx, end-handler
    f3a4                   | rep movsb
    0f20e0                 | mov eax, cr4
    0d00060400             | or eax, 0x40600
    0f22e0                 | mov cr4, eax
    8d9d00200000           | lea ebx, [ebp+0x2000]
    8b5504                 | mov edx, [ebp+4]
    4a                     | copy: dec edx
    7819                   | js copied
    8b3b                   | mov edi, [ebx]
    8b7304                 | mov esi, [ebx+4]
    8b4b08                 | mov ecx, [ebx+8]
    83c30c                 | add ebx, 12
    85f6                   | test esi, esi
    7404                   | je zero
    f3a5                   | rep movsd
    ebea                   | jmp copy
    31c0                   | zero: xor eax, eax
    f3ab                   | rep stosd
    ebe4                   | jmp copy
    8d9d00100000           | copied: lea ebx, [ebp+0x1000]
    8b7d08                 | mov edi, [ebp+8]
    4f                     | msrs: dec edi
    780f                   | js written
    8b0b                   | mov ecx, [ebx]
    8b4304                 | mov eax, [ebx+4]
    8b5308                 | mov edx, [ebx+8]
    83c30c                 | add ebx, 12
    0f30                   | wrmsr
    ebee                   | jmp msrs
    8b4510                 | written: mov eax, [ebp+0x10]
    0f22d0                 | mov cr2, eax
    8b4514                 | mov eax, [ebp+0x14]
    0f23c0                 | mov dr0, eax
    8b4518                 | mov eax, [ebp+0x18]
    0f23c8                 | mov dr1, eax
    8b451c                 | mov eax, [ebp+0x1c]
    0f23d0                 | mov dr2, eax
    8b4520                 | mov eax, [ebp+0x20]
    0f23d8                 | mov dr3, eax
    8b4524                 | mov eax, [ebp+0x24]
    31d2                   | xor edx, edx
    31c9                   | xor ecx, ecx
    0f01d1                 | xsetbv
    0fae8d00080000         | fxrstor [ebp+0x800]
    e801000000             | call smi
    f4                     | hlt
    c7051003e0fe00000000   | smi: mov dword [0xfee00310], 0
    c7050003e0fe00420400   | mov dword [0xfee00300], 0x44200
    eb00                   | jmp 1f
    90                     | 1: nop
    eb00                   | jmp 2f
    c3                     | 2: ret
    66be000c0003           | handler: mov esi, 0x3000c00
    66bf00fe0002           | mov edi, 0x200fe00
    66b980000000           | mov ecx, 0x80
    fc                     | cld
    f36766a5               | rep movsd [edi], [esi]
    0faa                   | rsm
    1700                   | end: gdtr: .word 0x17
    3001ffff               | .long gdt
    6690                   | .align 8
    0000000000000000       | gdt: .quad 0
    ffff0000009bcf00       | .quad 0x00cf9b000000ffff
    ffff00000093cf00       | .quad 0x00cf93000000ffff
`);

/** 64 KiB that end at the top of the address space, with a jump to their beginning where a processor begins. */
export function monitorRom(): Uint8Array {
  const rom = new Uint8Array(ROM_BYTES).fill(0xf4);
  rom.set(monitor.bytes);
  const reset = 0xfff0;
  const distance = ROM_BYTES - (reset + 3);
  rom.set([0xe9, distance & 0xff, distance >> 8], reset);
  return rom;
}
