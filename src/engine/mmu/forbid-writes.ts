import { TlbEntry, VcpuLayout } from "../layout.ts";

/**
 * Takes write translations of a frame out of every bank of a vCPU: it has code now, and writes must be seen.
 * @param words the domain's linear memory. @param base the vCPU's byte address.
 */
export function forbidWrites(words: Int32Array, base: number, frame: number): void {
  const last = (base + VcpuLayout.fetchTlb) >>> 2;
  const [low, high, addend, step] = [
    TlbEntry.writeTag / 4,
    TlbEntry.writeTag / 4 + 1,
    TlbEntry.addend / 4,
    TlbEntry.bytes / 4,
  ];
  for (let entry = (base + VcpuLayout.kernelBank) >>> 2; entry < last; entry += step) {
    // The low half of an empty tag has bits that no page's address has.
    const tag = words[entry + low]!;
    if (tag === -1 || (tag + words[entry + addend]!) >>> 12 !== frame) continue;
    words[entry + low] = -1;
    words[entry + high] = -1;
  }
}
