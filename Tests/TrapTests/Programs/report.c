// Has the instruction that `report ADDRESS OFFSET BYTE...` names reported as one that touched a window, on a stack of
// its own. Prints how much of that stack decoding takes, how much reporting, and what each write to standard error is.
#include "internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

enum { STACK = 1 << 16, PAINT = 0xa5 };

static uint8_t code[15], stack[STACK];
static size_t length;
static uint64_t address, offset;
static struct trap_access access_made;
static ucontext_t ours;

static void decode(void) {
  mcontext_t context = {0};
  trap_decode(code, length, &context, &access_made);
}

static void report(void) {
  trap_report(&access_made, code, length, 0x555555555040, address, offset);
}

static size_t stack_of(void (*work)(void)) {
  ucontext_t theirs;
  memset(stack, PAINT, sizeof stack);
  getcontext(&theirs);
  theirs.uc_stack.ss_sp = stack;
  theirs.uc_stack.ss_size = sizeof stack;
  theirs.uc_link = &ours;
  makecontext(&theirs, work, 0);
  swapcontext(&ours, &theirs);
  size_t free = 0;
  while (free < sizeof stack && stack[free] == PAINT) free++;
  return sizeof stack - free;
}

int main(int count, char **arguments) {
  if (count < 3) return 64;
  address = strtoull(arguments[1], NULL, 16);
  offset = strtoull(arguments[2], NULL, 16);
  for (int i = 3; i < count && length < sizeof code; i++) code[length++] = (uint8_t)strtoul(arguments[i], NULL, 16);
  // Each write comes out by itself.
  int ends[2];
  if (pipe2(ends, O_DIRECT | O_NONBLOCK) != 0 || dup2(ends[1], 2) < 0) return 1;
  stack_of(decode);
  stack_of(report);  // what is done once is done now
  char text[4096];
  if (read(ends[0], text, sizeof text) <= 0) return 1;
  printf("%zu %zu\n", stack_of(decode), stack_of(report));
  ssize_t got;
  while ((got = read(ends[0], text, sizeof text)) > 0) printf("[%.*s]\n", (int)got, text);
  return 0;
}
