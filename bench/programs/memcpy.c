/* Copies blocks of 16 KiB by the C library's memcpy: its widest loads and stores, or REP MOVSB. */
#include "bench.h"
#include <string.h>

#define BLOCK 16384
static uint8_t from[4 * BLOCK], to[4 * BLOCK];
static void *(*volatile copy)(void *, const void *, size_t) = memcpy;

int main(int argc, char **argv) {
  long rounds = rounds_of(argc, argv);
  uint64_t first = 0;
  uint32_t state = 362436069u;
  for (size_t i = 0; i < sizeof from; i++) from[i] = (uint8_t)next_random(&state);
  for (long round = 0; round < rounds; round++) {
    for (int i = 0; i < 256; i++) {
      size_t at = (size_t)(i % 3) * BLOCK + (size_t)(i % 32);
      copy(to + at, from + at + (i & 7), BLOCK - 64 + (size_t)(i % 64));
    }
    uint64_t hash = 0;
    for (size_t i = 0; i < sizeof to; i += 512) hash = mix(hash, to[i]);
    same_result(&first, round, hash);
  }
  print_result("memcpy", first);
  return 0;
}
