/** Conformance guests and random bytes again: their code is translated when it is entered for the second time. */

import { readdirSync } from "node:fs";

process.env["TEST_TRANSLATION"] = "2";

const directory = new URL("../conformance/", import.meta.url);
for (const name of readdirSync(directory))
  if (name.endsWith(".test.ts") && !name.startsWith("grub")) await import(new URL(name, directory).href);
