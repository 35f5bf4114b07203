/* Formats and takes apart strings: snprintf, strlen, strchr, strcmp, strtol. */
#include "bench.h"
#include <string.h>

OPAQUE static uint64_t format(int i) {
  char line[96], copy[96];
  snprintf(line, sizeof line, "%d:%s:%08x:%ld:%c", i, i % 2 ? "odd" : "even", (unsigned)i * 2654435761u, 1000000L - i,
           'a' + i % 26);
  strcpy(copy, line);
  uint64_t hash = strlen(copy);
  for (char *field = copy; field; ) {
    char *end = strchr(field, ':');
    if (end) *end++ = 0;
    hash = mix(hash, (uint64_t)strtol(field, NULL, 10) + (uint64_t)(uint8_t)*field + (strcmp(field, "odd") == 0));
    field = end;
  }
  return hash;
}

int main(int argc, char **argv) {
  long rounds = rounds_of(argc, argv);
  uint64_t first = 0;
  for (long round = 0; round < rounds; round++) {
    uint64_t hash = 0;
    for (int i = 0; i < 5000; i++) hash = mix(hash, format(i));
    same_result(&first, round, hash);
  }
  print_result("strings", first);
  return 0;
}
