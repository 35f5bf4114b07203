import assert from "node:assert/strict";
import { test } from "node:test";
import { XenError } from "../bits/errors.ts";
import { aptMirrors, defaultMirrors, mirrorUrl } from "./mirror.ts";

const list = (text: string): string[] => aptMirrors([{ path: "/etc/apt/sources.list", text }]);
const sources = (text: string): string[] => aptMirrors([{ path: "/etc/apt/sources.list.d/debian.sources", text }]);

test("mirror: one-line sources", () => {
  assert.deepEqual(
    list(`# deb http://comment.example/debian bookworm main
deb http://mirror.example/debian/ bookworm main contrib # a remark
deb-src http://source.example/debian bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/x.gpg] https://options.example/some/path trixie-updates main
  deb http://mirror.example/debian bookworm-backports main
deb cdrom:[Debian]/ bookworm main
deb http://flat.example/debian ./
`),
    ["http://mirror.example/debian", "https://options.example/some/path"],
  );
});

test("mirror: deb822 sources", () => {
  assert.deepEqual(
    sources(`Types: deb deb-src
# a comment
URIs: http://one.example/debian/
 https://two.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mDMEY865UxYJKwYBBAHaRw8BAQdAd7Z0srwuhlB6JKFkcf4HU4SSS/xcRfwEQWzr
 -----END PGP PUBLIC KEY BLOCK-----

Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
Enabled: no

Types: deb-src
URIs: http://source.example/debian
Suites: bookworm
Components: main
`),
    ["http://one.example/debian", "https://two.example/debian"],
  );
  assert.deepEqual(sources("Types: deb\r\nURIs: http://dos.example/debian\r\nSuites: sid\r\nComponents: main\r\n"), [
    "http://dos.example/debian",
  ]);
});

test("mirror: archives that are not Debian's main one are passed over", () => {
  assert.deepEqual(
    list(`deb http://security.example/debian-security bookworm-security main
deb http://ubuntu.example/ubuntu noble main universe
deb https://docker.example/linux/debian bookworm stable
deb https://browser.example/chrome/deb/ stable main
deb https://database.example/pub/repos/apt bookworm-pgdg main
deb http://aliased.example/debian stable main
`),
    ["http://aliased.example/debian"],
  );
});

test("mirror: a list of mirrors that a source names is read", () => {
  const source = {
    path: "x.sources",
    text: "Types: deb\nURIs: mirror+file:///etc/apt/m.list\nSuites: trixie\nComponents: main\n",
  };
  const read = (path: string): string | undefined =>
    path === "/etc/apt/m.list" ? "https://a.example/debian\thttps priority:1\n\nhttp://b.example/debian\n" : undefined;
  assert.deepEqual(aptMirrors([source], read), ["https://a.example/debian", "http://b.example/debian"]);
  assert.deepEqual(aptMirrors([source]), []);
});

test("mirror: only http and https URLs are taken from a user", () => {
  assert.equal(mirrorUrl("http://m.example/debian//", "--mirror"), "http://m.example/debian");
  for (const url of ["", "m.example/debian", "ftp://m.example/debian", "file:///srv", "http://"]) {
    assert.throws(
      () => mirrorUrl(url, "--mirror"),
      (error) => error instanceof XenError && error.code === "invalid-argument" && error.message.includes("--mirror"),
    );
  }
  for (const url of defaultMirrors) assert.equal(mirrorUrl(url, "default"), url);
});
