// Random bytes as instructions: `fuzz SEED COUNT`. What is not refused must be what the processor does.
#include "trial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST = 15 };

static uint8_t pick(const uint8_t *from, size_t count, struct generator *generator) {
  return from[draw(generator) % count];
}
#define PICK(from) pick(from, sizeof from, generator)

// Mostly of the instructions that may be performed, and of their neighbours.
static size_t add_opcode(uint8_t *code, struct generator *generator) {
  static const uint8_t one[] = {
    0x00, 0x02, 0x03, 0x08, 0x0a, 0x13, 0x1b, 0x23, 0x29, 0x2b, 0x33, 0x38, 0x39, 0x3a, 0x3b, 0x63, 0x69, 0x6b,
    0x80, 0x81, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8b, 0x8c, 0x8e, 0xa0, 0xa1, 0xa2, 0xa3, 0xa4,
    0xa5, 0xab, 0xc6, 0xc7, 0xd1, 0xf6, 0xf7, 0xff};
  static const uint8_t two[] = {
    0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x4b, 0x4c, 0x4d, 0x4e, 0x4f, 0x6f, 0x7e,
    0xa3, 0xab, 0xaf, 0xb0, 0xb1, 0xb6, 0xb7, 0xba, 0xbe, 0xbf, 0xc0, 0xc1, 0xc3, 0xc7};
  static const uint8_t three[] = {0xf0, 0xf1, 0xf6};
  uint64_t choice = draw(generator) % 12;
  size_t length = 0;
  if (choice >= 8) code[length++] = 0x0f;
  if (choice == 11) code[length++] = 0x38;
  if (choice < 3) code[length] = (uint8_t)draw(generator);
  else code[length] = choice < 8 ? PICK(one) : choice < 11 ? PICK(two) : PICK(three);
  return length + 1;
}

static size_t add_prefixes(uint8_t *code, struct generator *generator) {
  static const uint8_t prefixes[] = {
    0x66, 0x66, 0x67, 0x67, 0x64, 0x65, 0x2e, 0x36, 0x3e, 0x26, 0xf0, 0xf2, 0xf3, 0x48};
  size_t length = 0;
  uint64_t count = draw(generator) % 8;
  for (; count < 4 && length < count; length++) code[length] = PICK(prefixes);
  if (draw(generator) % 2 == 0) code[length++] = 0x40 | (draw(generator) & 15);
  return length;
}

static void draw_code(uint8_t code[LONGEST], struct generator *generator) {
  for (size_t i = 0; i < LONGEST; i++) code[i] = (uint8_t)draw(generator);
  if (draw(generator) % 4 == 0) return;
  size_t length = add_prefixes(code, generator);
  length += add_opcode(code + length, generator);
  // A whole address, which a processor can have: below 2^46.
  uint8_t opcode = code[length - 1];
  if (opcode >= 0xa0 && opcode <= 0xa3 && length <= LONGEST - 8) {
    uint64_t address = draw(generator) >> 18;
    memcpy(code + length, &address, sizeof address);
  }
}

static void print(const struct counts *counts, uint64_t tried) {
  printf("tried %lu performed %lu compared %lu windows %lu unreachable %lu bus errors %lu refused %lu", tried,
         counts->performed, counts->compared, counts->windows, counts->unreachable, counts->bus_errors,
         counts->refused);
  for (int is_store = 0; is_store < 2; is_store++)
    for (int size = 1; size <= 8; size *= 2)
      printf(" %s%d %lu", is_store ? "store" : "load", size, counts->of_size[is_store][size]);
  printf("\n");
}

int main(int count, char **arguments) {
  if (count != 3) return 64;
  struct generator generator = {strtoull(arguments[1], NULL, 0)};
  uint64_t rounds = strtoull(arguments[2], NULL, 0);
  struct counts counts = {0};
  trial_start(&generator);
  for (uint64_t round = 0; round < rounds && counts.failures < 20; round++) {
    uint8_t code[LONGEST];
    draw_code(code, &generator);
    trial(code, LONGEST, &generator, &counts);
  }
  print(&counts, rounds);
  return counts.failures == 0 ? 0 : 1;
}
