/**
 * How V8 is to compile WebAssembly, which is what guest code becomes. Measured: code of the baseline compiler runs it no faster
 * than the interpreter does, and compilation on every core takes the guest's away. V8 reads these when it starts only.
 */
export const V8_FLAGS = ["--no-liftoff", "--no-wasm-inlining", "--wasm-num-compilation-tasks=1"];
