// The bare round trip of a fault: to a handler and back.
#include "cbench.h"
#include "clock.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/ucontext.h>
#include <unistd.h>

#if defined __x86_64__

// The kernel's own structure and call: a library that has a handler of its own may not see that it is away.
struct kernel_action {
  void (*handler)(int, siginfo_t *, void *);
  unsigned long flags;
  void (*restorer)(void);
  uint64_t mask;
};
enum { FLAG_RESTORER = 0x04000000 };  // SA_RESTORER of asm/signal.h

__attribute__((naked))
static void restore(void) {
  __asm__ volatile("mov %0, %%eax\n\tsyscall" ::"i"(SYS_rt_sigreturn));
}

enum { LOAD_LENGTH = 3 };  // 48 8b 07

static void load(const void *address) {
  uint64_t value;
  __asm__ volatile("movq (%%rdi), %%rax" : "=a"(value) : "D"(address) : "memory");
}

static void step_over(int number, siginfo_t *info, void *context) {
  (void)number, (void)info;
  ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += LOAD_LENGTH;
}

static int set_action(const struct kernel_action *action, struct kernel_action *old) {
  return syscall(SYS_rt_sigaction, SIGSEGV, action, old, sizeof action->mask) < 0 ? -errno : 0;
}

static int perform(const struct cbench_access *access) {
  uint64_t value = 0;
  const off_t offset = (off_t)access->offset;
  ssize_t moved = access->is_store ? pwrite(access->fd, &value, sizeof value, offset)
                                   : pread(access->fd, &value, sizeof value, offset);
  if (moved < 0) return -errno;
  return moved == (ssize_t)sizeof value ? 0 : -EIO;
}

int cbench_fault(const struct cbench_access *after, size_t count, uint64_t *nanoseconds) {
  const size_t page = 4096;
  void *address = mmap(NULL, page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (address == MAP_FAILED) return -errno;
  // As a trapped window's handler is called.
  const struct kernel_action bare = {
    .handler = step_over, .flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | FLAG_RESTORER,
    .restorer = restore};
  struct kernel_action own;
  int result = set_action(&bare, &own);
  if (result != 0) {
    munmap(address, page);
    return result;
  }
  for (size_t i = 0; result == 0 && i < count; i++) {
    uint64_t start = monotonic_nanoseconds();
    load(address);
    if (after != NULL) result = perform(after);
    nanoseconds[i] = monotonic_nanoseconds() - start;
  }
  set_action(&own, NULL);
  munmap(address, page);
  return result;
}

#else

int cbench_fault(const struct cbench_access *after, size_t count, uint64_t *nanoseconds) {
  (void)after, (void)count, (void)nanoseconds;
  return -ENOTSUP;
}

#endif
