// System calls for handlers, and for what other libraries interpose: no errno, no point of cancellation.
#pragma once
#include <sys/syscall.h>

#if defined __x86_64__

static inline long trap_system(long number, long a, long b, long c, long d, long e, long f) {
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}

#else
#include <errno.h>
#include <unistd.h>

static inline long trap_system(long number, long a, long b, long c, long d, long e, long f) {
  int before = errno;
  long result = syscall(number, a, b, c, d, e, f);
  if (result == -1) result = -errno;
  errno = before;
  return result;
}

#endif
