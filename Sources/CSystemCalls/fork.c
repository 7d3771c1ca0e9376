#define _GNU_SOURCE
#include "csystem.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

int csystem_fork(void) {
  pid_t child = fork();
  if (child < 0) return -errno;
  // The copy must not outlive the program that knows of it.
  if (child == 0) prctl(PR_SET_PDEATHSIG, SIGKILL);
  return child;
}

void csystem_exit_copy(int code) { _exit(code); }
