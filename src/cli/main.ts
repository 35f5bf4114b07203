/** The program `xenolith`, also called `xl`. */

import { run } from "./program.ts";

process.exitCode = await run(process.argv.slice(2));
// What is still open (a terminal's stdin, a timer of a library) is not waited for; what is written is.
await new Promise((done) => process.stdout.write("", done));
process.exit();
