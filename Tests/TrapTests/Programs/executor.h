// Executes one instruction natively, with all registers and flags given and all of them seen afterwards.
#pragma once
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdint.h>
#include <sys/ucontext.h>

struct outcome {
  int signal;  // SIGTRAP: one instruction was executed
  uint64_t address;  // of a fault
  gregset_t registers;
};

// Installs the handlers. The segments get selectors that tell them apart.
void executor_start(void);

// What the kernel says of cs and ss; for contexts that no signal made.
greg_t executor_segments(void);

// The base that gs: has from now on.
void executor_set_gs_base(uint64_t base);

// Of the flags, those that a signal's return can set are set, and the trap flag.
void execute(const gregset_t registers, struct outcome *outcome);
