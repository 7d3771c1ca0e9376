#define _GNU_SOURCE
#include "csystem.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

// Which slots are taken, one bit each.
static _Atomic uint64_t slots[CSYSTEM_THREAD_SLOTS / 64];
static pthread_key_t slot_key;
static pthread_once_t slot_once = PTHREAD_ONCE_INIT;
// 0 not asked yet, -1 none was left, else the slot's number plus 1.
static _Thread_local int slot;
static _Thread_local uint32_t thread_id;

static void give_slot_back(void *value) {
  unsigned number = (unsigned)(uintptr_t)value - 1;
  // Destructors that come after this one find no slot.
  slot = -1;
  atomic_fetch_and_explicit(&slots[number / 64], ~(1ull << number % 64), memory_order_release);
}

static void make_slot_key(void) {
  if (pthread_key_create(&slot_key, give_slot_back) != 0) abort();
}

// A child of fork() has one thread, whose number has changed.
static void forget_thread_id(void) { thread_id = 0; }
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
static void watch_forks(void) { pthread_atfork(NULL, NULL, forget_thread_id); }

static int take_slot(void) {
  for (int word = 0; word < CSYSTEM_THREAD_SLOTS / 64; word++) {
    uint64_t taken = atomic_load_explicit(&slots[word], memory_order_relaxed);
    while (~taken != 0) {
      int bit = __builtin_ctzll(~taken);
      if (atomic_compare_exchange_weak_explicit(&slots[word], &taken, taken | 1ull << bit,
                                                memory_order_acquire, memory_order_relaxed))
        return word * 64 + bit;
    }
  }
  return -1;
}

int csystem_thread_slot(void) {
  if (slot == 0) {
    pthread_once(&slot_once, make_slot_key);
    int number = take_slot();
    slot = number < 0 ? -1 : number + 1;
    if (number >= 0) pthread_setspecific(slot_key, (void *)(uintptr_t)slot);
  }
  return slot < 0 ? -1 : slot - 1;
}

uint32_t csystem_thread_id(void) {
  if (thread_id == 0) {
    pthread_once(&fork_once, watch_forks);
    thread_id = (uint32_t)syscall(SYS_gettid);
  }
  return thread_id;
}

int csystem_task(uint32_t thread, uint32_t *process, char name[16]) {
  char path[32];
  char text[512];
  snprintf(path, sizeof path, "/proc/%u/status", thread);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  ssize_t count = read(fd, text, sizeof text - 1);
  close(fd);
  if (count <= 0) return -1;
  text[count] = 0;
  char *group = strstr(text, "\nTgid:\t");
  if (strncmp(text, "Name:\t", 6) != 0 || group == NULL) return -1;
  *process = (uint32_t)strtoul(group + 7, NULL, 10);
  size_t length = strcspn(text + 6, "\n");
  memset(name, 0, 16);
  memcpy(name, text + 6, length < 15 ? length : 15);
  return 0;
}
