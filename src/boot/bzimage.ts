/**
 * bzImage: the boot sector, setup code and compressed ELF image that Linux's build makes for x86.
 * Linux: Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header"; Xen: tools/libs/guest/xg_dom_bzimageloader.c.
 */

import { XenError } from "../bits/errors.ts";
import { decompress, findCompression } from "./compression.ts";
import type { Decompressors } from "./compression.ts";

/** "HdrS": the setup header's magic, at 0x202. */
const HEADER_MAGIC = 0x53726448;
const AT_SETUP_SECTORS = 0x1f1;
const AT_HEADER_MAGIC = 0x202;
const AT_VERSION = 0x206;
const AT_PAYLOAD_OFFSET = 0x248;
const AT_PAYLOAD_LENGTH = 0x24c;
const AT_INIT_SIZE = 0x260;
const SECTOR_BYTES = 512;
/** Boot protocol 2.08, the first that says where the payload is. */
const VERSION_WITH_PAYLOAD = 0x208;
/** Boot protocol 2.10 has init_size. */
const VERSION_WITH_INIT_SIZE = 0x20a;

/** @returns whether this is Linux's boot protocol at all; {@link unpackBzImage} says whether it can be used. */
export function isBzImage(bytes: Uint8Array): boolean {
  return bytes.length > AT_INIT_SIZE + 4 && view(bytes).getUint32(AT_HEADER_MAGIC, true) === HEADER_MAGIC;
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** What a bzImage contains. */
export interface UnpackedKernel {
  /** The ELF file. */
  readonly image: Uint8Array;
  /** Memory in bytes that the kernel uses from its load address on before it reads the memory map, or undefined. */
  readonly initialBytes: number | undefined;
}

/**
 * The ELF image inside a bzImage.
 * @param name for messages.
 * @param limit the most bytes it may expand to.
 * @throws XenError "not-a-kernel", "unsupported-compression", "bad-archive".
 */
export function unpackBzImage(
  bytes: Uint8Array,
  decompressors: Decompressors,
  name: string,
  limit: number,
): UnpackedKernel {
  const header = view(bytes);
  const version = header.getUint16(AT_VERSION, true);
  if (version < VERSION_WITH_PAYLOAD) {
    const text = `${version >> 8}.${String(version & 0xff).padStart(2, "0")}`;
    throw new XenError(
      "not-a-kernel",
      `kernel "${name}": boot protocol ${text} is too old; 2.08 (Linux 2.6.26) is needed`,
    );
  }
  // Zero means four, for boot sectors from before the field.
  const setupSectors = header.getUint8(AT_SETUP_SECTORS) || 4;
  const start = (setupSectors + 1) * SECTOR_BYTES + header.getUint32(AT_PAYLOAD_OFFSET, true);
  const length = header.getUint32(AT_PAYLOAD_LENGTH, true);
  if (length < 4 || start + length > bytes.length) {
    throw new XenError(
      "not-a-kernel",
      `kernel "${name}": cut off: its payload ends at ${start + length} of ${bytes.length} bytes`,
    );
  }
  const payload = bytes.subarray(start, start + length);
  const initialBytes = version >= VERSION_WITH_INIT_SIZE ? header.getUint32(AT_INIT_SIZE, true) : undefined;
  const compression = findCompression(payload);
  if (compression === undefined) {
    if (view(payload).getUint32(0, false) === 0x7f454c46) return { image: payload, initialBytes };
    throw new XenError("unsupported-compression", `kernel "${name}": its payload is in no known compression`);
  }
  // The build appends the uncompressed size to every format but gzip, whose own trailer is just that.
  const compressed = compression === "gzip" ? payload : payload.subarray(0, length - 4);
  const size = view(payload).getUint32(length - 4, true);
  if (size > limit) {
    throw new XenError(
      "not-a-kernel",
      `kernel "${name}": says it expands to ${size} bytes; at most ${limit} are allowed`,
    );
  }
  const image = decompress(compression, compressed, limit, decompressors, `kernel "${name}"`);
  if (image.length !== size) {
    throw new XenError("bad-archive", `kernel "${name}": expands to ${image.length} bytes, not the ${size} it says`);
  }
  return { image, initialBytes };
}
