/* Calls itself: Fibonacci's numbers and Ackermann's function, hardly anything but CALL, RET, PUSH and POP. */
#include "bench.h"

OPAQUE static uint32_t fibonacci(uint32_t n) {
  return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

OPAQUE static uint32_t ackermann(uint32_t m, uint32_t n) {
  if (m == 0) return n + 1;
  return ackermann(m - 1, n == 0 ? 1 : ackermann(m, n - 1));
}

int main(int argc, char **argv) {
  long rounds = rounds_of(argc, argv);
  uint64_t first = 0;
  for (long round = 0; round < rounds; round++) same_result(&first, round, mix(fibonacci(24), ackermann(2, 200)));
  print_result("recursion", first);
  return 0;
}
