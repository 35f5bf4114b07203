/** What is run: commands for busybox's shell, of which $B is the benchmark's directory, and what each must print. */

/** Which of the issue's means a program counts in, beside that of all. */
export type Group = "systems" | "floating-point" | "other";

/** A program of the suite. */
export interface Program {
  readonly name: string;
  readonly title: string;
  readonly group: Group;
  /** With scale 1, so that a run takes the time that is worth measuring. */
  readonly rounds: number;
  readonly command: (rounds: number) => string;
  /** All that it prints, for any number of rounds unless it is a function; its last line when it measures itself. */
  readonly expected: string | ((rounds: number) => string);
  /** What must be there beside the image: programs that the bench compiles, or Debian's packages in a larger initramfs. */
  readonly needs: "nothing" | "compiled" | "packages";
  /** Its figure, out of its output, when it measures itself: seconds for a fixed amount of work. */
  readonly seconds?: (output: string) => number;
  /**
   * How many times as long as the host's processor TCG takes, on a machine that does nothing else; far from it a reference
   * run is void. Undefined where the host's own time depends on which of its processors it happens to use.
   */
  readonly tcgSlowDown?: number;
}

/** The text that sha256sum, md5sum and gzip read: $B/data, 1 MiB of words that compress as texts do. */
export function sampleText(): Uint8Array {
  const words = "the of guest page and table entry fault in to vcpu is kernel frame event channel a grant domain".split(
    " ",
  );
  const bytes = new Uint8Array(1 << 20);
  let state = 2463534242;
  let at = 0;
  while (at < bytes.length) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    const word = `${words[(state >>> 0) % words.length]}${(state >>> 8) % 7 === 0 ? `${(state >>> 12) % 1000}\n` : " "}`;
    for (const character of word) if (at < bytes.length) bytes[at++] = character.charCodeAt(0);
  }
  return bytes;
}

function compiled(name: string, title: string, group: Group, rounds: number, expected: string, tcg?: number): Program {
  return {
    name,
    title,
    group,
    rounds,
    needs: "compiled",
    command: (rounds) => `$B/${name} ${rounds}`,
    expected: `${name} ${expected}`,
    ...(tcg === undefined ? {} : { tcgSlowDown: tcg }),
  };
}

/** `openssl speed` for a second: as the time for so many bytes, or operations. Its last line is a digest's, known. */
function openssl(name: string, title: string, options: string, field: number, amount: number): Program {
  return {
    name: `openssl-${name}`,
    title: `openssl speed ${title}`,
    group: "other",
    rounds: 1,
    needs: "packages",
    command: (rounds) =>
      `openssl speed -mr -elapsed -seconds ${rounds} ${options} 2>/dev/null | grep ^+F; openssl sha256 -r $B/data | cut -c 1-64`,
    expected: dataSha256,
    seconds(output) {
      return amount / Number(/^\+F.*$/m.exec(output)?.[0].split(":")[field]);
    },
  };
}

const times = (rounds: number, text: string): string => Array.from({ length: rounds }, () => text).join(" ");

/** Of {@link sampleText}. */
const dataSha256 = "4ada388fd1b6c3f5798a44b1a9b123e04a3908be357e747b9d73b0a0523dc5c6";

/** Every program, in the order in which they run. */
export const suite: readonly Program[] = [
  {
    name: "shell",
    title: "shell loop",
    group: "systems",
    rounds: 2,
    needs: "nothing",
    command: (rounds) => `i=0; while [ $i -lt ${rounds}0000 ]; do i=$((i+1)); done; echo $i`,
    expected: (rounds) => `${rounds}0000`,
    tcgSlowDown: 16,
  },
  {
    name: "sha256sum",
    title: "sha256sum",
    group: "other",
    rounds: 3,
    needs: "nothing",
    command: (rounds) => `sha256sum ${times(rounds, "$B/data")} | cut -c 1-64 | uniq`,
    expected: dataSha256,
    tcgSlowDown: 5,
  },
  {
    name: "md5sum",
    title: "md5sum",
    group: "other",
    rounds: 16,
    needs: "nothing",
    command: (rounds) => `md5sum ${times(rounds, "$B/data")} | cut -c 1-32 | uniq`,
    expected: "e6f3937dfef09c5be8ecc815d64e5811",
    tcgSlowDown: 5.5,
  },
  {
    name: "gzip",
    title: "gzip",
    group: "other",
    rounds: 1,
    needs: "nothing",
    command: (rounds) => `for f in ${times(rounds, "$B/data")}; do gzip <$f | wc -c; done | uniq`,
    expected: "259281",
    tcgSlowDown: 4,
  },
  {
    name: "awk",
    title: "awk floating point",
    group: "floating-point",
    rounds: 6,
    needs: "nothing",
    command: (rounds) =>
      `awk 'BEGIN { for (r = 0; r < ${rounds}; r++) { s = 0; for (i = 1; i <= 5000; i++) s += i / 3 * (i - 0.5); printf "%.3f\\n", s } }' | uniq`,
    expected: "13890972083.333",
    tcgSlowDown: 11,
  },
  {
    name: "forkexec",
    title: "fork + exec",
    group: "systems",
    rounds: 60,
    needs: "nothing",
    command: (rounds) => `i=0; while [ $i -lt ${rounds} ]; do busybox true || exit; i=$((i+1)); done; echo $i`,
    expected: (rounds) => `${rounds}`,
    tcgSlowDown: 7,
  },
  compiled("quicksort", "quicksort", "other", 12, "c3f3f0c75acf433e", 2.5),
  compiled("matrix", "double matrix product", "floating-point", 30, "dc21d8a3bdddda94", 55),
  compiled("sinsqrt", "sin and sqrt", "floating-point", 40, "fffffff7ef0ac9b1", 19),
  compiled("hashing", "hashing", "other", 24, "884a47f076d89991", 4.3),
  compiled("memcpy", "memcpy", "other", 80, "78686415a0058041", 21),
  compiled("strings", "snprintf and strings", "other", 8, "72b347881958ce96", 10.5),
  compiled("recursion", "recursive calls", "other", 120, "00b4b30001330c29", 7.2),
  compiled("getppid", "getppid loop", "systems", 400_000, "0000000000000001", 3.2),
  compiled("pingpong", "pipe ping-pong", "systems", 5_000, "0000000000000001"),
  compiled("pagefault", "page faults", "systems", 12, "5f45efa12ea97c00", 5),
  compiled("forks", "fork loop", "systems", 300, "0000000000000007", 6.5),
  openssl("sha256", "sha256, 10 MB", "-bytes 8192 -evp sha256", 3, 1e7),
  openssl("aes", "aes-128-cbc, 10 MB", "-bytes 8192 -evp aes-128-cbc", 3, 1e7),
  openssl("rsa", "rsa2048, one signature", "rsa2048", 3, 1),
  {
    name: "python",
    title: "Python",
    group: "systems",
    rounds: 1,
    needs: "packages",
    command: (rounds) => `python3.11 -I -S -B $B/bench.py ${rounds}`,
    expected: "python 2262 999862 1082354839 5084",
  },
  {
    name: "gcc",
    title: "gcc compiling a file",
    group: "systems",
    rounds: 1,
    needs: "packages",
    command: (rounds) =>
      `for i in ${times(rounds, "1")}; do gcc-12 -O2 -o /tmp/strings $B/strings.c || exit; done; /tmp/strings 1`,
    expected: "strings 72b347881958ce96",
  },
];

/** Boot to the shell, TCG's seconds: the other figure by which a reference run is judged. */
export const tcgBootSeconds = 2.6;

/** Whether a program printed what it must. */
export function isRight(program: Program, rounds: number, output: string): boolean {
  const expected = typeof program.expected === "string" ? program.expected : program.expected(rounds);
  const lines = output.trim().split("\n");
  return (program.seconds === undefined ? lines.join("\n") : lines.at(-1)) === expected;
}
