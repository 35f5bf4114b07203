/* Multiplies two 96 × 96 matrices of doubles, row by row: scalar SSE2 multiplications and additions. */
#include "bench.h"
#include <string.h>

#define N 96
static double a[N][N], b[N][N], c[N][N];

OPAQUE static void multiply(void) {
  for (int i = 0; i < N; i++)
    for (int k = 0; k < N; k++) {
      double factor = a[i][k];
      for (int j = 0; j < N; j++) c[i][j] += factor * b[k][j];
    }
}

int main(int argc, char **argv) {
  long rounds = rounds_of(argc, argv);
  uint64_t first = 0;
  uint32_t state = 88675123u;
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j++) {
      a[i][j] = next_random(&state) / 4294967296.0;
      b[i][j] = next_random(&state) / 65536.0 - 32768;
    }
  for (long round = 0; round < rounds; round++) {
    memset(c, 0, sizeof c);
    multiply();
    uint64_t hash = 0;
    for (int i = 0; i < N; i++)
      for (int j = 0; j < N; j++) {
        uint64_t bits;
        memcpy(&bits, &c[i][j], 8);
        hash = mix(hash, bits);
      }
    same_result(&first, round, hash);
  }
  print_result("matrix", first);
  return 0;
}
