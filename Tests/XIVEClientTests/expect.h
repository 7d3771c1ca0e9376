// Expectations of the C programs that the tests compile: each that is not met prints a line.
#ifndef EXPECT_H
#define EXPECT_H

#include <stdio.h>
#include <string.h>

#include "xive_client.h"

static int failures;

#define EXPECT(condition)                                        \
  do {                                                           \
    if (!(condition)) {                                          \
      printf("line %d: not so: %s\n", __LINE__, #condition);     \
      failures++;                                                \
    }                                                            \
  } while (0)

// A refusal has its number, and words that name the object.
#define EXPECT_REFUSED(call, number, word)                                             \
  do {                                                                                 \
    int result_ = (call);                                                              \
    const char *words_ = xive_client_error_message();                                  \
    if (result_ != -(number) || !strstr(words_, word) || strchr(words_, '\n')) {       \
      printf("line %d: %s: gave %d, '%s'\n", __LINE__, #call, result_, words_);        \
      failures++;                                                                      \
    }                                                                                  \
  } while (0)

// The last line and the exit code.
static inline int conclude(void) {
  if (failures == 0) printf("all as expected\n");
  return failures == 0 ? 0 : 1;
}

#endif
