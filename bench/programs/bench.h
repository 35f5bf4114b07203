/* What the benchmark programs share. Each takes its number of rounds, does the same work in every round, checks that
 * every round comes to the same result, and prints that result: it does not depend on the number of rounds. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Keeps a function from being inlined, specialised or computed at compile time. */
#define OPAQUE __attribute__((noipa))

static inline long rounds_of(int argc, char **argv) {
  long rounds = argc > 1 ? atol(argv[1]) : 1;
  return rounds > 0 ? rounds : 1;
}

/* xorshift32 (Marsaglia 2003): the same numbers everywhere. */
static inline uint32_t next_random(uint32_t *state) {
  uint32_t x = *state;
  x ^= x << 13;
  x ^= x >> 17;
  x ^= x << 5;
  return *state = x;
}

/* Ends the program with an error unless each round's result is the first one's. */
static inline void same_result(uint64_t *first, long round, uint64_t result) {
  if (round == 0) *first = result;
  if (*first != result) {
    fprintf(stderr, "round %ld: %016llx, not %016llx\n", round, (unsigned long long)result, (unsigned long long)*first);
    exit(1);
  }
}

static inline void print_result(const char *name, uint64_t result) {
  printf("%s %016llx\n", name, (unsigned long long)result);
}

/* One step of FNV-1a over eight bytes at once: enough to notice a wrong value. */
static inline uint64_t mix(uint64_t hash, uint64_t value) {
  return (hash ^ value) * UINT64_C(0x100000001b3);
}
