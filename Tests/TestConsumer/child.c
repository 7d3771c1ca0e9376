// A second interpreter that inherits all descriptors and mappings, reached through pipes.
#include "consumer.h"

#include <stdio_ext.h>
#include <sys/wait.h>
#include <unistd.h>

static struct {
  pid_t process;  // 0: none
  FILE *commands, *answers;
} child;

bool do_fork(int count, char **arguments) {
  (void)count, (void)arguments;
  int commands[2], answers[2];
  if (child.process) return refuse("there is a child");
  if (pipe(commands) < 0) return answer_result(-1);
  if (pipe(answers) < 0) {
    answer_errno();
    close(commands[0]), close(commands[1]);
    return true;
  }
  pid_t process = fork();
  if (process == 0) {
    // The pipes take the place of this process's input and output, which drops what the parent
    // had read ahead; back in the loop, it is an interpreter like its parent.
    __fpurge(stdin);
    if (dup2(commands[0], fileno(stdin)) < 0 || dup2(answers[1], fileno(output)) < 0) _exit(70);
    close(commands[0]), close(commands[1]), close(answers[0]), close(answers[1]);
    return true;
  }
  if (process < 0) answer_errno();
  close(commands[0]), close(answers[1]);
  if (process < 0) {
    close(commands[1]), close(answers[0]);
    return true;
  }
  child.process = process;
  child.commands = fdopen(commands[1], "w");
  child.answers = fdopen(answers[0], "r");
  if (!child.commands || !child.answers) abort();
  answer("ok pid=%d", process);
  return true;
}

bool do_child(int count, char **arguments) {
  if (!child.process) return refuse("no child");
  for (int i = 0; i < count; i++)
    fprintf(child.commands, "%s%c", arguments[i], i + 1 < count ? ' ' : '\n');
  fflush(child.commands);
  char *line = NULL;
  size_t capacity = 0;
  ssize_t length = getline(&line, &capacity, child.answers);
  if (length > 0 && line[length - 1] == '\n') {
    line[length - 1] = 0;
    answer("%s", line);
  } else {
    errno = ECHILD;  // it died; `reap` tells how
    answer_errno();
  }
  free(line);
  return true;
}

bool do_reap(int count, char **arguments) {
  (void)count, (void)arguments;
  if (!child.process) return refuse("no child");
  fclose(child.commands);
  fclose(child.answers);
  int status;
  pid_t process = child.process;
  child.process = 0;
  if (waitpid(process, &status, 0) < 0) return answer_result(-1);
  if (WIFSIGNALED(status))
    answer("ok signal=%d", WTERMSIG(status));
  else
    answer("ok exit=%d", WEXITSTATUS(status));
  return true;
}
