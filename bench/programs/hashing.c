/* Counts words in a hash table: FNV-1a over short strings, open addressing, comparisons. */
#include "bench.h"
#include <string.h>

#define SLOTS 8192
#define WORDS 40000
static struct { char word[12]; uint32_t count; } table[SLOTS];

OPAQUE static uint32_t hash_of(const char *word) {
  uint32_t hash = 2166136261u;
  for (; *word; word++) hash = (hash ^ (uint8_t)*word) * 16777619u;
  return hash;
}

OPAQUE static void count(const char *word) {
  uint32_t slot = hash_of(word) % SLOTS;
  while (table[slot].count > 0 && strcmp(table[slot].word, word) != 0) slot = (slot + 1) % SLOTS;
  if (table[slot].count++ == 0) strcpy(table[slot].word, word);
}

int main(int argc, char **argv) {
  long rounds = rounds_of(argc, argv);
  uint64_t first = 0;
  for (long round = 0; round < rounds; round++) {
    memset(table, 0, sizeof table);
    uint32_t state = 123456789u;
    for (int i = 0; i < WORDS; i++) {
      char word[12];
      uint32_t number = next_random(&state) % 5000, at = 0;
      while (number > 0 || at < 4) {
        word[at++] = (char)('a' + number % 7);
        number /= 7;
      }
      word[at] = 0;
      count(word);
    }
    uint64_t result = 0;
    for (int slot = 0; slot < SLOTS; slot++) result = mix(result, hash_of(table[slot].word) + table[slot].count);
    same_result(&first, round, result);
  }
  print_result("hashing", first);
  return 0;
}
