/** Text as bytes. The core has no TextEncoder. */

/** @returns the UTF-8 encoding of `text`; a lone surrogate becomes U+FFFD. */
export function utf8Bytes(text: string): Uint8Array<ArrayBuffer> {
  const encoded = encodeURIComponent(text.toWellFormed());
  const bytes: number[] = [];
  for (let at = 0; at < encoded.length; at++) {
    if (encoded[at] === "%") {
      bytes.push(Number.parseInt(encoded.slice(at + 1, at + 3), 16));
      at += 2;
    } else bytes.push(encoded.charCodeAt(at));
  }
  return Uint8Array.from(bytes);
}
