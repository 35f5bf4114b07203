/* Touches the 1024 pages of a mapping and throws them away. A round is 1024 page faults. */
#define _DEFAULT_SOURCE
#include "bench.h"
#include <sys/mman.h>

#define PAGES 1024

int main(int argc, char **argv) {
  long rounds = rounds_of(argc, argv);
  uint64_t first = 0;
  volatile uint8_t *memory = mmap(0, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 1;
  madvise((void *)memory, PAGES * 4096, MADV_NOHUGEPAGE);
  for (long round = 0; round < rounds; round++) {
    uint64_t hash = 0;
    for (int page = 0; page < PAGES; page++) {
      memory[page * 4096]++;
      hash = mix(hash, memory[page * 4096]);
    }
    if (madvise((void *)memory, PAGES * 4096, MADV_DONTNEED)) return 1;
    same_result(&first, round, hash);
  }
  print_result("pagefault", first);
  return 0;
}
