// Loads and stores through mappings, each of which may end in SIGBUS or SIGSEGV.
#include "consumer.h"

#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <unistd.h>

enum { signal_stack_size = 64 << 10 };

static __thread sigjmp_buf recovery;
static __thread volatile sig_atomic_t armed;
static __thread struct fault caught;

static void handle_fault(int signal_number, siginfo_t *info, void *context) {
  (void)context;
  if (!armed) {
    // A bug of this program: let the repeated access end it, visibly.
    signal(signal_number, SIG_DFL);
    return;
  }
  armed = 0;
  caught = (struct fault){signal_number, info->si_code, (uintptr_t)info->si_addr};
  siglongjmp(recovery, 1);
}

static void use_signal_stack(void *memory) {
  stack_t stack = {.ss_sp = memory, .ss_size = signal_stack_size};
  if (sigaltstack(&stack, NULL) < 0) abort();
}

void *enter_signal_stack(void) {
  void *memory = allocate_pages(signal_stack_size);
  use_signal_stack(memory);
  return memory;
}

void leave_signal_stack(void *stack) {
  stack_t none = {.ss_flags = SS_DISABLE};
  sigaltstack(&none, NULL);
  free(stack);
}

void catch_faults(void) {
  static _Alignas(16) uint8_t stack[signal_stack_size];
  use_signal_stack(stack);
  // With SA_NODEFER nothing is blocked in the handler, so that sigsetjmp need not save the mask:
  // no system call on an access that is timed.
  struct sigaction action = {
    .sa_sigaction = handle_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
  sigaction(SIGBUS, &action, NULL);
  sigaction(SIGSEGV, &action, NULL);
}

struct fault last_fault(void) { return caught; }

bool is_access_size(uint64_t size) { return size == 1 || size == 2 || size == 4 || size == 8; }

bool guarded_load(const volatile void *address, uint64_t size, uint64_t *value) {
  if (sigsetjmp(recovery, 0)) return false;
  armed = 1;
  switch (size) {
  case 1: *value = *(const volatile uint8_t *)address; break;
  case 2: *value = __builtin_bswap16(*(const volatile uint16_t *)address); break;
  case 4: *value = __builtin_bswap32(*(const volatile uint32_t *)address); break;
  default: *value = __builtin_bswap64(*(const volatile uint64_t *)address); break;
  }
  armed = 0;
  return true;
}

bool guarded_store(volatile void *address, uint64_t size, uint64_t value) {
  if (sigsetjmp(recovery, 0)) return false;
  armed = 1;
  switch (size) {
  case 1: *(volatile uint8_t *)address = (uint8_t)value; break;
  case 2: *(volatile uint16_t *)address = __builtin_bswap16((uint16_t)value); break;
  case 4: *(volatile uint32_t *)address = __builtin_bswap32((uint32_t)value); break;
  default: *(volatile uint64_t *)address = __builtin_bswap64(value); break;
  }
  armed = 0;
  return true;
}

static bool guarded_copy(uint8_t *to, const volatile uint8_t *from, uint64_t length) {
  if (sigsetjmp(recovery, 0)) return false;
  armed = 1;
  for (uint64_t i = 0; i < length; i++) to[i] = from[i];
  armed = 0;
  return true;
}

static bool answer_fault(const struct mapping *mapping) {
  answer("%s code=%d address=0x%llx", caught.signal == SIGBUS ? "sigbus" : "sigsegv", caught.code,
         (unsigned long long)(caught.address - (uintptr_t)mapping->base));
  return true;
}

// `M OFFSET SIZE`
static struct mapping *parse_register(char **texts, uint64_t *offset, uint64_t *size) {
  struct mapping *mapping = parse_range(texts, offset, size);
  if (mapping && !is_access_size(*size)) {
    set_refusal("the size is 1, 2, 4 or 8");
    return NULL;
  }
  return mapping;
}

bool do_load(int count, char **arguments) {
  (void)count;
  uint64_t offset, size, value;
  struct mapping *mapping = parse_register(arguments, &offset, &size);
  if (!mapping) return false;
  if (!guarded_load(mapping->base + offset, size, &value)) return answer_fault(mapping);
  answer("ok 0x%llx", (unsigned long long)value);
  return true;
}

bool do_store(int count, char **arguments) {
  (void)count;
  uint64_t offset, size, value;
  struct mapping *mapping = parse_register(arguments, &offset, &size);
  if (!mapping || !parse_numbers(arguments + 3, 1, &value)) return false;
  if (size < 8 && value >> size * 8) return refuse("the value is wider than the size");
  if (!guarded_store(mapping->base + offset, size, value)) return answer_fault(mapping);
  answer("ok");
  return true;
}

bool do_await(int count, char **arguments) {
  (void)count;
  uint64_t offset, size, wanted[2], value;
  struct mapping *mapping = parse_register(arguments, &offset, &size);
  if (!mapping || !parse_numbers(arguments + 3, 2, wanted)) return false;
  uint64_t start = nanoseconds_now();
  for (;;) {
    if (!guarded_load(mapping->base + offset, size, &value)) return answer_fault(mapping);
    uint64_t waited = nanoseconds_now() - start;
    if (value == wanted[0]) {
      answer("ok microseconds=%llu", (unsigned long long)(waited / 1000));
      return true;
    }
    if (waited / 1000000 >= wanted[1]) {
      answer("timeout 0x%llx", (unsigned long long)value);
      return true;
    }
    sleep_nanoseconds(20000);
  }
}

bool do_bytes(int count, char **arguments) {
  (void)count;
  uint64_t offset, length;
  struct mapping *mapping = parse_range(arguments, &offset, &length);
  if (!mapping) return false;
  if (length > most_transferred) return refuse("too long");
  uint8_t *copy = allocate_pages(length);
  if (guarded_copy(copy, mapping->base + offset, length))
    answer_hex("ok", copy, length);
  else
    answer_fault(mapping);
  free(copy);
  return true;
}

// The kernel's own touch of a mapping: bytes that a system call has to copy from it.
bool do_lend(int count, char **arguments) {
  (void)count;
  uint64_t offset, length;
  struct mapping *mapping = parse_range(arguments, &offset, &length);
  if (!mapping) return false;
  if (length > PIPE_BUF) return refuse("too long");
  int pipes[2];
  if (pipe(pipes) < 0) return answer_result(-1);
  ssize_t written = write(pipes[1], mapping->base + offset, length);
  if (written < 0)
    answer_errno();
  else
    answer("ok count=%zd", written);
  close(pipes[0]), close(pipes[1]);
  return true;
}

bool do_time(int count, char **arguments) {
  (void)count;
  uint64_t offset, size, value;
  if (strcmp(arguments[0], "load")) return refuse("unknown word: %s", arguments[0]);
  struct mapping *mapping = parse_register(arguments + 1, &offset, &size);
  if (!mapping) return false;
  uint64_t start = nanoseconds_now();
  if (!guarded_load(mapping->base + offset, size, &value)) return answer_fault(mapping);
  uint64_t end = nanoseconds_now();
  answer("ok 0x%llx nanoseconds=%llu", (unsigned long long)value,
         (unsigned long long)(end - start));
  return true;
}
