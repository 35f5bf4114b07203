/* Sums sines and square roots: the C library's polynomials, and SQRTSD. */
#include "bench.h"
#include <math.h>

OPAQUE static double sum(int count) {
  double total = 0;
  for (int i = 1; i <= count; i++) total += sin(i * 0.001) * sqrt((double)i);
  return total;
}

int main(int argc, char **argv) {
  long rounds = rounds_of(argc, argv);
  uint64_t first = 0;
  for (long round = 0; round < rounds; round++) {
    /* C libraries choose among versions of sin that differ in the last bit: compared to six decimals. */
    same_result(&first, round, (uint64_t)(int64_t)llrint(sum(20000) * 1e6));
  }
  print_result("sinsqrt", first);
  return 0;
}
