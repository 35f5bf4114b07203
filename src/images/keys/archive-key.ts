/** A public key whose signature on a Debian release is believed. A published fact, not a secret. */
export interface ArchiveKey {
  /** The user id, without its address. */
  readonly name: string;
  /** Of the primary key, in groups of four hexadecimal digits; checked against the key when it is read. */
  readonly fingerprint: string;
  /** The key in ASCII armour, without others' certifications. */
  readonly armored: string;
}
