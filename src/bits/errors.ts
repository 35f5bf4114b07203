/**
 * What an operator did wrong, or what the machine could not do, and the exit status that a command ends with.
 * 2: the request itself is at fault, and repeating it cannot help. 125: the request was fine, carrying it out failed.
 */
const EXIT_STATUS = {
  "invalid-argument": 2,
  "unknown-option": 2,
  "bad-config": 2,
  "no-such-image": 2,
  "no-such-domain": 2,
  "no-such-file": 2,
  "domain-exists": 2,
  "not-a-kernel": 2,
  "no-pvh-entry": 2,
  "bad-initrd": 2,
  "bad-image": 2,
  "unsupported-compression": 2,
  unsupported: 2,
  "not-enough-memory": 125,
  "mirror-unreachable": 125,
  "bad-signature": 125,
  "bad-checksum": 125,
  "bad-archive": 125,
  "truncated-download": 125,
  "cache-unwritable": 125,
  "io-error": 125,
  "quota-exceeded": 125,
  "domain-crashed": 125,
  timeout: 125,
  interrupted: 125,
  internal: 125,
} as const;

/** The kinds of {@link XenError}. A program decides by this; people read the message. */
export type ErrorCode = keyof typeof EXIT_STATUS;

/**
 * The operator's fault, or the host's: what a caller of the SDK catches and a command prints. Never thrown for what a
 * guest did. The message says what, which, why and what to do, in one sentence where it fits.
 */
export class XenError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.name = "XenError";
    this.code = code;
  }
}

/** The status with which a command ends after this error: 2 or 125, as docker and getopt programs do. */
export function exitStatus(code: ErrorCode): 2 | 125 {
  return EXIT_STATUS[code];
}

/** Our own fault: an assertion that did not hold. The domain it happened in is paused; nobody catches it to go on. */
export class AssertionError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "AssertionError";
  }
}

/**
 * States what must be true if this program is right.
 * @throws AssertionError when it is not.
 */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** Marks a branch that the types rule out; the argument makes the compiler prove it. Always throws. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${String(value)}`);
}
