/**
 * Flow control of the hypervisor's console. A pCPU's thread posts what its guest puts out by console_io and port 0xE9, and
 * posting never waits: without a bound, a guest that prints faster than anybody reads would fill the control thread's memory.
 */

/** How much may be on its way to the reader before the guest waits: in bytes, as {@link consoleCost} counts them. */
export const CONSOLE_WINDOW = 64 << 10;

/** What a message takes, however short it is: port 0xE9 makes one of each byte. */
const LEAST_COST = 32;

/** How often a thread that waits looks whether its guest is to go on. */
const LOOK_MILLISECONDS = 250;

/** What a message of so many bytes counts. */
export function consoleCost(bytes: number): number {
  return Math.max(LEAST_COST, bytes);
}

/** One domain's gate, as one thread sees it. */
export interface ConsoleGate {
  /**
   * On a pCPU's thread, before a message of so many bytes is posted: waits until there is room for it.
   * @param goOn whether it is to be waited for; otherwise the message may be posted all the same, being the last.
   */
  enter(bytes: number, goOn: () => boolean): void;
  /** On the control thread: messages of this cost together have been read, or nobody will. */
  release(cost: number): void;
}

/** Memory for a gate, which its threads share. */
export function createConsoleGate(): SharedArrayBuffer {
  return new SharedArrayBuffer(4);
}

/** @param buffer of {@link createConsoleGate}: a word that counts what has been released, modulo 2^32. */
export function consoleGate(buffer: SharedArrayBuffer): ConsoleGate {
  const released = new Int32Array(buffer);
  let entered = 0;
  return {
    enter(bytes, goOn) {
      for (;;) {
        const seen = Atomics.load(released, 0);
        if (((entered - seen) | 0) < CONSOLE_WINDOW || !goOn()) break;
        Atomics.wait(released, 0, seen, LOOK_MILLISECONDS);
      }
      entered = (entered + consoleCost(bytes)) | 0;
    },
    release(cost) {
      Atomics.add(released, 0, cost);
      Atomics.notify(released, 0);
    },
  };
}
