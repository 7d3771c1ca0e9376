// Every instruction of an assembler's list: `forms SEED ROUNDS`. The list is in the section `cases` of another file.
#include "trial.h"

#include <stdio.h>
#include <stdlib.h>

struct form {
  const uint8_t *code;
  const char *text;
  uint64_t length, verdict;
};
extern const struct form __start_cases[], __stop_cases[];

static bool run(const struct form *form, struct generator *generator, struct counts *counts) {
  uint64_t failures = counts->failures;
  enum trap_verdict verdict = trial(form->code, form->length, generator, counts);
  if (verdict != form->verdict) {
    counts->failures++;
    fprintf(stderr, "verdict: expected %d, got %d: ", (int)form->verdict, (int)verdict);
  }
  if (counts->failures != failures) fprintf(stderr, "%s\n", form->text);
  return counts->failures < 20;
}

int main(int count, char **arguments) {
  if (count != 3) return 64;
  struct generator generator = {strtoull(arguments[1], NULL, 0)};
  struct counts counts = {0};
  trial_start(&generator);
  for (unsigned long round = strtoul(arguments[2], NULL, 0); round != 0; round--)
    for (const struct form *form = __start_cases; form < __stop_cases; form++)
      if (!run(form, &generator, &counts)) return 1;
  printf("forms %zu performed %lu compared %lu windows %lu unreachable %lu bus errors %lu refused %lu\n",
         (size_t)(__stop_cases - __start_cases), counts.performed, counts.compared, counts.windows,
         counts.unreachable, counts.bus_errors, counts.refused);
  return counts.failures == 0 ? 0 : 1;
}
