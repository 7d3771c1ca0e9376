#include "csystem.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/wait.h>

static void *reap(void *argument) {
  pid_t child = (pid_t)(intptr_t)argument;
  while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {}
  return NULL;
}

void csystem_reap_later(int child) {
  pthread_attr_t attributes;
  pthread_t thread;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_create(&thread, &attributes, reap, (void *)(intptr_t)child);
  pthread_attr_destroy(&attributes);
}
