// Says for each slot of 16 bytes on standard input what the decoder makes of it, by one letter; 64 of them a line.
#include "internal.h"

#include <stdio.h>

enum { SLOT = 16, LONGEST = 15, LINE = 64 };

int main(void) {
  uint8_t slot[SLOT];
  mcontext_t context = {0};
  struct trap_access access;
  for (unsigned number = 1; fread(slot, SLOT, 1, stdin) == 1; number++) {
    trap_decode(slot, LONGEST, &context, &access);
    putchar("PBRT"[access.verdict]);
    if (number % LINE == 0) putchar('\n');
  }
  putchar('\n');
  return 0;
}
