import type { ArchiveKey } from "./archive-key.ts";

/** Debian Stable Release Key (13/trixie). Source: Debian package debian-archive-keyring, debian-archive-trixie-stable.gpg. */
export const trixieStable: ArchiveKey = {
  name: "Debian Stable Release Key (13/trixie)",
  fingerprint: "4158 7F7D B8C7 74BC CF13 1416 762F 67A0 B2C3 9DE4",
  armored: `-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEZ+Gq1RYJKwYBBAHaRw8BAQdARlh1OX84KPJRedAP/M7WxPFEthWypAp8nved
FhqaX0q0R0RlYmlhbiBTdGFibGUgUmVsZWFzZSBLZXkgKDEzL3RyaXhpZSkgPGRl
Ymlhbi1yZWxlYXNlQGxpc3RzLmRlYmlhbi5vcmc+iJYEExYIAD4WIQRBWH99uMd0
vM8TFBZ2L2egssOd5AUCZ+Gq1QIbAwUJDwmcAAULCQgHAgYVCgkICwIEFgIDAQIe
AQIXgAAKCRB2L2egssOd5DjVAP49S/e9VAtn9ip2DXj5zx87MpUXnLHAhT/LsJ7J
odnKoQEA8murEqdcC0pPsAA6Gmev/lz0MWUyfe5Y6DMB6t16FQs=
=+xcg
-----END PGP PUBLIC KEY BLOCK-----
`,
};
