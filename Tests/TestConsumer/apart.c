// A program in a process namespace of its own: whoever is outside is nobody to it.
#include "consumer.h"

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t child;

static void pass_on(int signal_number) { kill(child, signal_number); }

int run_apart(char **words) {
  if (unshare(CLONE_NEWPID) < 0) {
    perror("unshare");
    return 77;
  }
  child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    execv(words[0], words);
    perror(words[0]);
    _exit(127);
  }
  if (child < 0) return 71;
  signal(SIGTERM, pass_on);
  int status;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
