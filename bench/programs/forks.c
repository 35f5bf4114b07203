/* Forks a child that ends at once, and waits for it. A round is one child. */
#include "bench.h"
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
  long rounds = rounds_of(argc, argv);
  uint64_t first = 0;
  for (long round = 0; round < rounds; round++) {
    pid_t child = fork();
    if (child == 0) _exit(7);
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child) return 1;
    same_result(&first, round, (uint64_t)WEXITSTATUS(status));
  }
  print_result("forks", first);
  return 0;
}
