#include "trial.h"

#include "executor.h"
#include "stage.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum {
  STATUS = 0x8d5,  // six flags
  DIRECTION = 1 << 10,
  RESUME = 1 << 16,
  ALWAYS_SET = 0x202,
};

uint64_t draw(struct generator *generator) {
  uint64_t bits = generator->state += UINT64_C(0x9e3779b97f4a7c15);
  bits = (bits ^ bits >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  bits = (bits ^ bits >> 27) * UINT64_C(0x94d049bb133111eb);
  return bits ^ bits >> 31;
}

void trial_start(struct generator *generator) {
  executor_start();
  stage_start(draw(generator));
  for (int i = 0; i < PAGE; i++) stage.page[i] = (uint8_t)draw(generator);
}

// MARK: - Registers

static const int places[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                               REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};

// Where carries, signs and extensions differ, more often than chance has it.
static uint64_t draw_value(struct generator *generator) {
  static const uint64_t edges[] = {
    0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, INT64_MAX,
    (uint64_t)INT64_MIN, UINT64_MAX, 0x0102030405060708};
  uint64_t choice = draw(generator);
  if (choice % 3 == 0) return edges[choice / 3 % (sizeof edges / sizeof *edges)];
  return draw(generator) >> (choice % 5 == 0 ? choice >> 58 : 0);
}

static void draw_registers(greg_t *registers, struct generator *generator) {
  memset(registers, 0, sizeof(gregset_t));
  for (int i = 0; i < 16; i++) registers[places[i]] = (greg_t)draw_value(generator);
  registers[REG_EFL] = ALWAYS_SET | (draw(generator) & (STATUS | DIRECTION | RESUME));
  registers[REG_CSGSFS] = executor_segments();
}

static void decode(const uint8_t *code, size_t count, const greg_t *registers, struct trap_access *access) {
  mcontext_t context = {0};
  memcpy(context.gregs, registers, sizeof context.gregs);
  trap_decode(code, count, &context, access);
}

// Changes one register so that the instruction accesses `target`, or a place behind it (or before it, if `is_before`)
// that its scale allows: which one is found out by trying. No second decoder is needed for that.
static bool aim(
  const uint8_t *code, size_t length, uint64_t target, bool is_before, greg_t *registers, uint64_t *found) {
  struct trap_access first, second;
  decode(code, length, registers, &first);
  for (int i = 0; i < 16; i++) {
    greg_t *place = &registers[places[i]], old = *place;
    *place = old + 1;
    decode(code, length, registers, &second);
    uint32_t factor = (uint32_t)(second.address - first.address);
    *place = old;
    if (factor == 0 || factor > 9) continue;
    uint64_t wish = target;
    // An odd factor reaches everything. It is its own inverse modulo 8; each step of Newton's doubles the bits.
    uint32_t power = factor & -factor;
    uint64_t rest = (wish - first.address) % power;
    if (rest != 0) wish = is_before ? wish - rest : wish + power - rest;
    uint64_t odd = factor / power, inverse = odd;
    for (int step = 0; step < 5; step++) inverse *= 2 - odd * inverse;
    *place = old + (greg_t)((wish - first.address) / power * inverse);
    decode(code, length, registers, &second);
    if (second.address == wish) {
      *found = wish;
      return true;
    }
    *place = old;
  }
  return false;
}

// MARK: - Comparison

struct run {
  const uint8_t *code;  // where it is executed
  size_t length;
  const char *by;
  struct counts *counts;
};

static void complain(const struct run *run, const char *what, uint64_t expected, uint64_t got) {
  run->counts->failures++;
  fprintf(stderr, "%s: %s: expected %#llx, got %#llx:", run->by, what, (unsigned long long)expected,
          (unsigned long long)got);
  for (size_t i = 0; i < run->length; i++) fprintf(stderr, " %02x", run->code[i]);
  fprintf(stderr, "\n");
}

static void compare_registers(const struct run *run, const greg_t *expected, const greg_t *got) {
  static const char names[][4] = {"r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15", "rdi",
                                  "rsi", "rbp", "rbx", "rdx", "rax", "rcx", "rsp", "rip", "efl"};
  for (int i = REG_R8; i <= REG_EFL; i++)
    if (expected[i] != got[i]) complain(run, names[i], (uint64_t)expected[i], (uint64_t)got[i]);
}

// Performs it as the handler does, on `view` at the address that the decoder says.
static bool perform(const struct run *run, const uint8_t *view, greg_t *registers) {
  mcontext_t context = {0};
  struct trap_access access;
  memcpy(context.gregs, registers, sizeof context.gregs);
  trap_decode(run->code, run->length, &context, &access);
  uint64_t offset = access.address - (uint64_t)view;
  if (access.verdict != TRAP_PERFORM || offset > (uint64_t)PAGE - access.size) {
    complain(run, "address", (uint64_t)view, access.address);
    return false;
  }
  if (access.is_store) memcpy(stage.page + offset, access.bytes, access.size);
  uint8_t bytes[8];
  // What lies behind a load's bytes is none of it.
  memset(bytes, 0x5a, sizeof bytes);
  memcpy(bytes, stage.page + offset, access.size);
  trap_complete(&access, bytes, &context);
  memcpy(registers, context.gregs, sizeof context.gregs);
  return true;
}

// By the processor on `view`, then by us.
static void compare(struct run *run, const uint8_t *view, const greg_t *registers) {
  struct outcome native;
  uint8_t before[PAGE], after[PAGE];
  memcpy(before, stage.page, PAGE);
  execute(registers, &native);
  memcpy(after, stage.page, PAGE);
  run->by = "processor";
  if (native.signal != SIGTRAP) complain(run, "signal", SIGTRAP, (uint64_t)native.signal);
  memcpy(stage.page, before, PAGE);
  gregset_t ours;
  memcpy(ours, registers, sizeof ours);
  run->by = "decoder";
  if (!perform(run, view, ours)) return;
  compare_registers(run, native.registers, ours);
  if (memcmp(stage.page, after, PAGE) != 0) complain(run, "memory", 0, 1);
  run->counts->compared++;
}

// Through a window, on the memory that there was before, and with nothing different but the address.
static void compare_window(struct run *run, const uint8_t *window, const greg_t *registers) {
  uint8_t before[PAGE], after[PAGE];
  gregset_t ours;
  memcpy(before, stage.page, PAGE);
  memcpy(ours, registers, sizeof ours);
  run->by = "decoder on a window";
  if (!perform(run, window, ours)) return;
  memcpy(after, stage.page, PAGE);
  memcpy(stage.page, before, PAGE);
  struct outcome outcome;
  uint64_t count = ctrap_access_count();
  execute(registers, &outcome);
  run->by = "window";
  if (outcome.signal != SIGTRAP) complain(run, "signal", SIGTRAP, (uint64_t)outcome.signal);
  compare_registers(run, ours, outcome.registers);
  if (memcmp(stage.page, after, PAGE) != 0) complain(run, "memory", 0, 1);
  if (ctrap_access_count() != count + 1) complain(run, "accesses", 1, ctrap_access_count() - count);
  run->counts->windows++;
}

// MARK: - Places

static void refill(uint64_t offset, struct generator *generator) {
  for (uint64_t at = offset & ~UINT64_C(7); at < offset + 16 && at < PAGE; at += 8) {
    uint64_t value = draw_value(generator);
    memcpy(stage.page + at, &value, sizeof value);
  }
  // Also where the access is not aligned.
  uint64_t value = draw_value(generator);
  memcpy(stage.page + offset, &value, offset <= PAGE - 8 ? 8 : PAGE - offset);
}

// With its last byte in the page that cannot be touched, it must fail: it is as large as the decoder says.
static void expect_size(struct run *run, const uint8_t *view, const greg_t *registers, uint8_t size) {
  gregset_t aimed;
  uint64_t found;
  memcpy(aimed, registers, sizeof aimed);
  if (!aim(run->code, run->length, (uint64_t)view + PAGE - size + 1, false, aimed, &found)) return;
  if (found >= (uint64_t)view + PAGE) return;
  struct outcome outcome;
  execute(aimed, &outcome);
  run->by = "processor beyond the page";
  if (outcome.signal != SIGSEGV) complain(run, "signal", SIGSEGV, (uint64_t)outcome.signal);
}

static bool aim_at(
  const struct run *run, const uint8_t *place, uint64_t offset, bool is_before, uint8_t size, greg_t *registers,
  uint64_t *found) {
  if (!aim(run->code, run->length, (uint64_t)place + offset, is_before, registers, found)) return false;
  *found -= (uint64_t)place;
  return *found <= (uint64_t)PAGE - size;
}

static bool try_view(
  struct run *run, const struct view *view, const struct trap_access *access, const greg_t *drawn,
  struct generator *generator) {
  gregset_t registers;
  memcpy(registers, drawn, sizeof registers);
  const uint8_t *place = access->is_store ? view->writable : view->readable;
  uint64_t choice = draw(generator) % 3, last = PAGE - access->size, found;
  uint64_t offset = choice == 0 ? 0 : choice == 1 ? last : draw(generator) % (last + 1);
  if (!aim_at(run, place, offset, choice != 0, access->size, registers, &found)) return false;
  refill(found, generator);
  compare(run, place, registers);
  expect_size(run, place, registers, access->size);
  if (!aim_at(run, view->window, found, true, access->size, registers, &found)) return true;
  refill(found, generator);
  compare_window(run, view->window, registers);
  return true;
}

// An address without a register that could be changed: the page is brought there.
static bool try_there(
  struct run *run, const struct trap_access *access, const greg_t *registers, struct generator *generator) {
  uint64_t offset = access->address % PAGE;
  if (offset > (uint64_t)PAGE - access->size) return false;
  uint8_t *place = stage_show(access->address - offset, access->is_store ? PROT_READ | PROT_WRITE : PROT_READ);
  if (place == NULL) return false;
  refill(offset, generator);
  compare(run, place, registers);
  stage_trap(place);
  refill(offset, generator);
  compare_window(run, place, registers);
  stage_hide(place);
  return true;
}

// Shorter beginnings end before a page that cannot be read: none may be taken for the whole.
static void try_beginnings(
  const uint8_t *code, const struct trap_access *whole, const greg_t *registers, struct counts *counts) {
  struct run run = {.code = code, .length = whole->length, .by = "beginning", .counts = counts};
  for (size_t count = 1; count < whole->length; count++) {
    struct trap_access access;
    memcpy(stage.code_end - count, code, count);
    decode(stage.code_end - count, count, registers, &access);
    if (access.verdict == TRAP_PERFORM || access.verdict == TRAP_BUS_ERROR)
      complain(&run, "verdict", TRAP_TRUNCATED, access.verdict);
  }
}

// By the bytes alone: xchg, or a lock prefix before whatever follows.
static bool is_locked(const uint8_t *code, size_t length) {
  static const uint8_t others[] = {0x66, 0x67, 0x2e, 0x36, 0x3e, 0x26, 0x64, 0x65, 0xf2, 0xf3};
  for (size_t i = 0; i < length; i++) {
    if (code[i] == 0xf0 || code[i] == 0x86 || code[i] == 0x87) return true;
    if (memchr(others, code[i], sizeof others) == NULL && code[i] >> 4 != 4) return false;
  }
  return false;
}

static void count_verdict(const struct trap_access *access, struct counts *counts) {
  if (access->verdict == TRAP_BUS_ERROR) counts->bus_errors++;
  else if (access->verdict == TRAP_PERFORM) counts->performed++;
  else counts->refused++;
  if (access->verdict == TRAP_PERFORM) counts->of_size[access->is_store][access->size]++;
}

// Executes what may be performed, with exactly its own bytes in front of the page that cannot be touched.
static void try_whole(
  const uint8_t *code, const struct trap_access *whole, greg_t *registers, struct generator *generator,
  struct counts *counts) {
  struct run run = {stage.code_end - whole->length, whole->length, "without what is behind it", counts};
  struct trap_access access;
  memcpy(stage.code_end - run.length, code, run.length);
  registers[REG_RIP] = (greg_t)run.code;
  decode(run.code, run.length, registers, &access);
  if (access.verdict != TRAP_PERFORM || access.size != whole->size)
    complain(&run, "verdict", TRAP_PERFORM, access.verdict);
  bool is_high = draw(generator) % 2 == 0;
  if (!try_view(&run, is_high ? &stage.high : &stage.low, &access, registers, generator)
      && !try_view(&run, is_high ? &stage.low : &stage.high, &access, registers, generator)
      && !try_there(&run, &access, registers, generator))
    counts->unreachable++;
}

enum trap_verdict trial(
  const uint8_t *code, size_t length, struct generator *generator, struct counts *counts) {
  gregset_t registers;
  struct trap_access access;
  draw_registers(registers, generator);
  executor_set_gs_base(draw(generator) & UINT64_C(0x3fffffffffff));
  decode(code, length, registers, &access);
  count_verdict(&access, counts);
  if (access.length == 0) access.length = (uint8_t)length;
  try_beginnings(code, &access, registers, counts);
  const struct run run = {code, access.length, "bytes", counts};
  if (access.verdict == TRAP_BUS_ERROR && !is_locked(code, length)) complain(&run, "lock", 1, 0);
  if (access.verdict == TRAP_PERFORM) try_whole(code, &access, registers, generator, counts);
  return access.verdict;
}
