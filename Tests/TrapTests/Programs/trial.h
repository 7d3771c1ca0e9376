// One instruction, performed by the processor on memory, by decode.c and complete.c, and through a trapped window: all
// must leave the same registers, flags and memory.
#pragma once
#include "internal.h"

// A generator whose numbers depend on its seed alone. Steele, Lea, Flood, "Fast splittable pseudorandom number
// generators", 2014.
struct generator {
  uint64_t state;
};
uint64_t draw(struct generator *generator);

struct counts {
  uint64_t performed, compared, bus_errors, refused, unreachable, windows, failures;
  uint64_t of_size[2][9];  // loads and stores
};

void trial_start(struct generator *generator);

// `length` bytes that begin with an instruction; fewer of them are tried, too. Says on standard error what differs.
enum trap_verdict trial(
  const uint8_t *code, size_t length, struct generator *generator, struct counts *counts);
