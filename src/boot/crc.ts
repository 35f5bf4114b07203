/** The two cyclic redundancy checks of .xz files. XZ file format §6: CRC32 is IEEE 802.3's, CRC64 is ECMA-182's. */

const CRC32_POLYNOMIAL = 0xedb88320;
const CRC64_POLYNOMIAL_HIGH = 0xc96c5795;
const CRC64_POLYNOMIAL_LOW = 0xd7870f42;

const crc32Table = new Uint32Array(256);
const crc64High = new Uint32Array(256);
const crc64Low = new Uint32Array(256);
for (let byte = 0; byte < 256; byte++) {
  let word = byte;
  let high = 0;
  let low = byte;
  for (let i = 0; i < 8; i++) {
    word = word & 1 ? (word >>> 1) ^ CRC32_POLYNOMIAL : word >>> 1;
    const carry = low & 1;
    low = (low >>> 1) | (high << 31);
    high >>>= 1;
    if (carry) {
      low ^= CRC64_POLYNOMIAL_LOW;
      high ^= CRC64_POLYNOMIAL_HIGH;
    }
  }
  crc32Table[byte] = word;
  crc64High[byte] = high;
  crc64Low[byte] = low;
}

/** @returns the CRC-32 of `bytes`, from 0 to 2^32 - 1. */
export function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) crc = crc32Table[(crc ^ bytes[i]!) & 0xff]! ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** @returns the CRC-64 of `bytes`. Kept in two words, since a bigint for each byte would be a thousand times slower. */
export function crc64(bytes: Uint8Array): bigint {
  let high = 0xffffffff;
  let low = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) {
    const index = (low ^ bytes[i]!) & 0xff;
    low = ((low >>> 8) | (high << 24)) ^ crc64Low[index]!;
    high = (high >>> 8) ^ crc64High[index]!;
  }
  return (BigInt(~high >>> 0) << 32n) | BigInt(~low >>> 0);
}
