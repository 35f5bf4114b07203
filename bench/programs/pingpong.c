/* Two processes hand a byte back and forth through pipes. A round is there and back: two context switches. */
#include "bench.h"
#include <sys/wait.h>
#include <unistd.h>

static void transfer(ssize_t bytes) {
  if (bytes != 1) exit(1);
}

int main(int argc, char **argv) {
  long rounds = rounds_of(argc, argv);
  int there[2], back[2];
  if (pipe(there) || pipe(back)) return 1;
  pid_t child = fork();
  uint8_t byte = 0;
  if (child == 0) {
    for (long round = 0; round < rounds; round++) {
      transfer(read(there[0], &byte, 1));
      byte++;
      transfer(write(back[1], &byte, 1));
    }
    _exit(0);
  }
  for (long round = 0; round < rounds; round++) {
    uint8_t sent = byte;
    transfer(write(there[1], &byte, 1));
    transfer(read(back[0], &byte, 1));
    if (byte != (uint8_t)(sent + 1)) return 1;
  }
  int status;
  if (waitpid(child, &status, 0) != child || status != 0) return 1;
  print_result("pingpong", 1);
  return 0;
}
