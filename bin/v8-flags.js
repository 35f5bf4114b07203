/**
 * How V8 is to compile WebAssembly, which is what guest code becomes: at once by its baseline compiler, whose code runs at half of
 * the optimising one's speed and costs a fifteenth, and what is hot again. Measured: more threads, and a garbage collector with
 * threads, take the guest's core away. Young generations are small since every thread has one: 65 MB less, and nothing slower;
 * old ones are collected late, since that stops the guest for a tenth of a second.
 * V8 reads these when it starts only.
 */
export const V8_FLAGS = [
  "--liftoff",
  "--wasm-tiering-budget=3000000",
  "--v8-pool-size=1",
  "--single-threaded-gc",
  "--no-wasm-inlining",
  "--max-semi-space-size=4",
  "--initial-old-space-size=128",
  "--expose-gc",
];
