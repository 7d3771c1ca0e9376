#include "living.h"

#include <stdarg.h>

_Atomic int failures;
const char *device_path;
pid_t server;

uint64_t file_word(int fd, size_t i) {
  uint64_t word = 0;
  NEED(pread(fd, &word, sizeof word, (off_t)(i * sizeof word)) == sizeof word);
  return word;
}

struct window window_make(size_t pages) {
  struct window window = {.fd = memfd_create("window", MFD_CLOEXEC)};
  NEED(window.fd >= 0);
  for (size_t i = 0; i < pages * PAGE_BYTES / 8; i++) {
    uint64_t word = word_of(i);
    NEED(pwrite(window.fd, &word, sizeof word, (off_t)(i * sizeof word)) == sizeof word);
  }
  NEED(ctrap_device_open(window.fd, &window.device) == 0);
  window.words = window_map(window.device, 0, pages * PAGE_BYTES);
  return window;
}

volatile uint64_t *window_map(ctrap_device *device, uint64_t offset, size_t length) {
  void *address = NULL;
  errno = -ctrap_map(device, offset, length, PROT_READ | PROT_WRITE, &address);
  NEED(errno == 0);
  return address;
}

void *forbidden_page(void) {
  void *page = mmap(NULL, PAGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  NEED(page != MAP_FAILED);
  return page;
}

void handle(int number, void (*handler)(int, siginfo_t *, void *), int flags, ...) {
  struct sigaction action = {.sa_flags = flags};
  action.sa_sigaction = handler;
  // Signals to block meanwhile, up to 0.
  va_list list;
  va_start(list, flags);
  for (int blocked = va_arg(list, int); blocked != 0; blocked = va_arg(list, int))
    sigaddset(&action.sa_mask, blocked);
  va_end(list);
  NEED(sigaction(number, &action, NULL) == 0);
}

void signal_stack(size_t length) {
  stack_t stack = {.ss_size = length};
  stack.ss_sp = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  NEED(stack.ss_sp != MAP_FAILED && sigaltstack(&stack, NULL) == 0);
}

bool is_on_signal_stack(void) {
  stack_t stack;
  NEED(sigaltstack(NULL, &stack) == 0);
  return (stack.ss_flags & SS_ONSTACK) != 0;
}

uint64_t blocked_signals(void) {
  sigset_t set;
  NEED(sigprocmask(SIG_BLOCK, NULL, &set) == 0);
  uint64_t word;
  memcpy(&word, &set, sizeof word);
  return word;
}

struct end end_of(void (*body)(void *), void *argument) {
  struct end end = {.status = -1};
  fflush(stdout);
  pid_t child = fork();
  NEED(child >= 0);
  if (child == 0) {
    NEED(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0);
    int before = failures;
    body(argument);
    fflush(stdout);
    _exit(failures == before ? 0 : 1);
  }
  while (waitpid(child, &end.status, 0) == child && WIFSTOPPED(end.status)) {
    NEED(ptrace(PTRACE_GETSIGINFO, child, 0, &end.last) == 0);
    NEED(ptrace(PTRACE_CONT, child, 0, WSTOPSIG(end.status)) == 0);
  }
  return end;
}

void expect_killed(struct end end, int number, int code, const void *address, const char *file, int line) {
  bool is_killed = WIFSIGNALED(end.status) && WTERMSIG(end.status) == number;
  // Of sent signals there is no address.
  bool is_last = end.last.si_signo == number && end.last.si_code == code
    && (code <= 0 || end.last.si_addr == address);
  if (is_killed && is_last) return;
  printf("%s:%d: status 0x%x, last signal %d with code %d at %p, not signal %d with code %d at %p\n", file, line,
         (unsigned)end.status, end.last.si_signo, end.last.si_code, end.last.si_addr, number, code, address);
  failures++;
}

int main(int count, char **arguments) {
  static const struct test_case *const groups[] = {
    cases_chain, cases_fatal, cases_later, cases_bus, cases_stacks, cases_nested, cases_threads, cases_forks,
    cases_steps, cases_device, cases_throw};
  if (count > 2) device_path = arguments[2];
  if (count > 3) server = atoi(arguments[3]);
  for (size_t group = 0; group < sizeof groups / sizeof groups[0]; group++)
    for (const struct test_case *one = groups[group]; one != NULL && one->name != NULL; one++) {
      if (count == 1) printf("%s\n", one->name);
      else if (strcmp(one->name, arguments[1]) == 0) {
        one->run();
        if (failures == 0) printf("all as expected\n");
        return failures == 0 ? 0 : 1;
      }
    }
  return count == 1 ? 0 : 64;
}
