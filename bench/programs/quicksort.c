/* Sorts 100,000 integers by a plain quicksort: unpredictable branches, loads and stores. */
#include "bench.h"

#define COUNT 100000
static int32_t numbers[COUNT];

OPAQUE static void sort(int32_t *low, int32_t *high) {
  while (low < high) {
    int32_t pivot = low[(high - low) / 2];
    int32_t *left = low, *right = high;
    while (left <= right) {
      while (*left < pivot) left++;
      while (*right > pivot) right--;
      if (left <= right) {
        int32_t swapped = *left;
        *left++ = *right;
        *right-- = swapped;
      }
    }
    if (right - low < high - left) {
      sort(low, right);
      low = left;
    } else {
      sort(left, high);
      high = right;
    }
  }
}

int main(int argc, char **argv) {
  long rounds = rounds_of(argc, argv);
  uint64_t first = 0;
  for (long round = 0; round < rounds; round++) {
    uint32_t state = 2463534242u;
    for (int i = 0; i < COUNT; i++) numbers[i] = (int32_t)next_random(&state);
    sort(numbers, numbers + COUNT - 1);
    uint64_t hash = 14695981039346656037u;
    for (int i = 0; i < COUNT; i++) {
      if (i > 0 && numbers[i - 1] > numbers[i]) return 1;
      hash = mix(hash, (uint32_t)numbers[i]);
    }
    same_result(&first, round, hash);
  }
  print_result("quicksort", first);
  return 0;
}
