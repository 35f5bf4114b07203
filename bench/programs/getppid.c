/* Asks for the parent's process id: the cheapest system call. A round is one call. */
#include "bench.h"
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv) {
  long rounds = rounds_of(argc, argv);
  uint64_t first = 0;
  for (long round = 0; round < rounds; round++) same_result(&first, round, (uint64_t)syscall(SYS_getppid));
  print_result("getppid", first == (uint64_t)getppid());
  return 0;
}
