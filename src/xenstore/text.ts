/**
 * Text on the wire. Xenstore knows bytes, not characters: paths are ASCII, tokens and values anything. Strings in this
 * layer hold one byte per UTF-16 unit, so that nothing a guest sends is lost or changed on the way through.
 */

/** The bytes of a string of one-byte units. Units above 0xff lose their high part. */
export function toBytes(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** A string with one unit for each byte. */
export function fromBytes(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 4096) {
    text += String.fromCharCode(...bytes.subarray(at, at + 4096));
  }
  return text;
}

/** The NUL-terminated strings of a payload; bytes after the last NUL are not one. Xen: get_strings(). */
export function strings(payload: Uint8Array): string[] {
  const parts = fromBytes(payload).split("\0");
  parts.pop();
  return parts;
}

/** The one string of a payload whose only NUL is its last byte, otherwise undefined. Xen: onearg(). */
export function onlyString(payload: Uint8Array): string | undefined {
  return payload.indexOf(0) === payload.length - 1 && payload.length > 0
    ? fromBytes(payload.subarray(0, payload.length - 1))
    : undefined;
}

/** Each string with its terminating NUL, one after the other. */
export function joinStrings(parts: readonly string[]): Uint8Array<ArrayBuffer> {
  return toBytes(parts.map((part) => `${part}\0`).join(""));
}

/** C's atoi() as far as xenstored relies on it: leading decimal digits after an optional sign, otherwise 0. */
export function decimal(text: string): number {
  const value = Number.parseInt(/^\s*[+-]?\d+/.exec(text)?.[0] ?? "0", 10);
  return Math.max(-0x8000_0000, Math.min(value, 0x7fff_ffff));
}
