/** The user's streams as a session's: a terminal in raw mode, pipes, or a JSON document in the making. */

import type { ReadStream } from "node:tty";
import { rawTerminal } from "../host/node/terminal.ts";
import type { WindowSize } from "../host/node/terminal.ts";
import type { SessionMode, SessionStreams } from "../toolstack/session.ts";

/** Output that is kept instead of shown. */
export interface Capture {
  readonly output: Uint8Array[];
  readonly errorOutput: Uint8Array[];
}

export interface ConsoleOptions {
  readonly mode: SessionMode;
  /** Whether boot messages are shown. */
  readonly verbose: boolean;
  readonly capture: Capture | undefined;
  /** The user wants to be rid of the guest: Ctrl-], or nobody reads stdout any more. */
  onLeave(): void;
  /** The terminal's window has another size. */
  onResize(size: WindowSize): void;
  /** The shell or command is there. */
  onReady(): void;
  /** The first bytes for stdout or, where they are shown, boot messages. */
  onFirstOutput(): void;
}

/** A session's streams, until they are disposed of. */
export interface ConsoleStreams extends SessionStreams, Disposable {
  /** Whether {@link ConsoleOptions.onLeave} was called. */
  readonly left: boolean;
}

export function consoleStreams(options: ConsoleOptions): ConsoleStreams {
  const { mode, verbose, capture } = options;
  const interactive = process.stdin.isTTY && mode !== "command" && capture === undefined;
  const queue = inputQueue();
  const cleanup = new DisposableStack();
  let shown = false;
  let left = false;
  const leave = (): void => {
    left = true;
    options.onLeave();
  };

  if (interactive) {
    const { stdin, stdout } = process;
    const detach = (): void => {
      // The guest's cursor is wherever it was; what comes next begins a line.
      stdout.write("\r\n");
      leave();
    };
    const listener = { input: queue.push, detach, resize: options.onResize };
    cleanup.use(rawTerminal(stdin as ReadStream, stdout, listener));
  } else {
    cleanup.use(pipedInput(queue));
  }
  // Nobody reads any more, as with `| head`: there is nothing left to run for.
  process.stdout.on("error", leave);
  cleanup.defer(() => process.stdout.off("error", leave));

  const write = (stream: NodeJS.WriteStream, bytes: Uint8Array): Promise<void> | undefined => {
    if (!shown) options.onFirstOutput();
    shown = true;
    if (left || stream.write(bytes)) return undefined;
    return new Promise((resolve) => {
      stream.once("drain", resolve);
      stream.once("error", resolve);
    });
  };
  return {
    input: queue.input,
    interactive,
    output(bytes) {
      if (capture === undefined) return write(process.stdout, bytes);
      capture.output.push(bytes);
      return undefined;
    },
    errorOutput(bytes) {
      if (capture === undefined) return write(process.stderr, bytes);
      capture.errorOutput.push(bytes);
      return undefined;
    },
    boot(bytes) {
      if (verbose) void write(process.stderr, bytes);
    },
    ready: () => options.onReady(),
    get left() {
      return left;
    },
    [Symbol.dispose]() {
      queue.end();
      cleanup.dispose();
    },
  };
}

interface InputQueue {
  readonly input: AsyncIterable<Uint8Array>;
  push(this: void, bytes: Uint8Array): void;
  end(this: void): void;
  /** How many chunks nobody has taken. */
  readonly waiting: number;
  /** Called when a chunk is taken. */
  onTaken: () => void;
}

function inputQueue(): InputQueue {
  const chunks: Uint8Array[] = [];
  let ended = false;
  let wake = (): void => {};
  async function* input(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const chunk = chunks.shift();
      if (chunk !== undefined) {
        queue.onTaken();
        yield chunk;
      } else if (ended) {
        return;
      } else {
        await new Promise<void>((resolve) => (wake = resolve));
      }
    }
  }
  const queue: InputQueue = {
    input: input(),
    push(bytes) {
      chunks.push(bytes);
      wake();
    },
    end() {
      ended = true;
      wake();
    },
    get waiting() {
      return chunks.length;
    },
    onTaken: () => {},
  };
  return queue;
}

/** stdin as it comes, no faster than the guest takes it. */
function pipedInput(queue: InputQueue): Disposable {
  const { stdin } = process;
  const data = (chunk: Buffer): void => {
    queue.push(Uint8Array.from(chunk));
    if (queue.waiting > 4) stdin.pause();
  };
  queue.onTaken = () => {
    if (queue.waiting === 0) stdin.resume();
  };
  stdin.on("data", data);
  stdin.on("end", queue.end);
  // A stdin that is closed or a directory is as good as an empty one.
  stdin.on("error", queue.end);
  return {
    [Symbol.dispose]() {
      queue.onTaken = () => {};
      stdin.off("data", data);
      stdin.off("end", queue.end);
      stdin.off("error", queue.end);
      stdin.pause();
    },
  };
}
