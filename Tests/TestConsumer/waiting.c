// Waiting for descriptors: poll, and one epoll for all of them.
#include "consumer.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *const event_words[] = {"in", "out", "pri", "err", "hup", "edge", "oneshot", NULL};
// The first five are the same for poll.
static const uint32_t event_values[] = {EPOLLIN,  EPOLLOUT, EPOLLPRI,    EPOLLERR,
                                        EPOLLHUP, EPOLLET,  EPOLLONESHOT};
enum { poll_words = 5, most_events = 256 };

static bool parse_events(char *text, uint32_t *events) {
  *events = 0;
  char *word;
  while ((word = strsep(&text, ","))) {
    int index = parse_word(word, event_words);
    if (index < 0) return false;
    *events |= event_values[index];
  }
  return true;
}

static void print_events(uint32_t events) {
  const char *separator = "";
  for (int i = 0; i < poll_words; i++)
    if (events & event_values[i]) fprintf(output, "%s%s", separator, event_words[i]), separator = ",";
}

bool do_poll(int count, char **arguments) {
  (void)count;
  int descriptor;
  uint32_t events;
  uint64_t milliseconds;
  if (!parse_descriptor(arguments[0], &descriptor) || !parse_events(arguments[1], &events) ||
      !parse_numbers(arguments + 2, 1, &milliseconds))
    return false;
  struct pollfd set = {.fd = descriptor, .events = (short)events};
  int ready = poll(&set, 1, (int)milliseconds);
  if (ready < 0) return answer_result(-1);
  fputs("ok ", output);
  print_events((uint32_t)set.revents);
  answer("%s", ready ? "" : "none");
  return true;
}

static int waiting_set(void) {
  static int set;  // descriptor + 1
  if (!set) set = epoll_create1(EPOLL_CLOEXEC) + 1;
  return set - 1;
}

bool do_epoll_add(int count, char **arguments) {
  (void)count;
  unsigned slot;
  int descriptor;
  uint32_t events;
  if (!parse_slot(arguments[0], &slot) || !parse_descriptor(arguments[0], &descriptor) ||
      !parse_events(arguments[1], &events))
    return false;
  struct epoll_event event = {.events = events, .data.u32 = slot};
  return answer_result(epoll_ctl(waiting_set(), EPOLL_CTL_ADD, descriptor, &event));
}

bool do_epoll_wait(int count, char **arguments) {
  (void)count;
  uint64_t milliseconds;
  struct epoll_event events[most_events];
  if (!parse_numbers(arguments, 1, &milliseconds)) return false;
  int ready = epoll_wait(waiting_set(), events, most_events, (int)milliseconds);
  if (ready < 0) return answer_result(-1);
  fputs(ready ? "ok" : "ok none", output);
  for (int i = 0; i < ready; i++) {
    fprintf(output, " %u:", events[i].data.u32);
    print_events(events[i].events);
  }
  answer("%s", "");
  return true;
}

// An epoll whose lock is held for as long as this program lives: a thread takes events into a page that is
// never filled.
static struct {
  int set;
  void *page;
} held;

static void *take_for_ever(void *unused) {
  epoll_wait(held.set, held.page, 1, -1);
  return unused;
}

bool do_held_epoll(int count, char **arguments) {
  (void)count;
  unsigned slot;
  if (!parse_slot(arguments[0], &slot)) return false;
  size_t size = (size_t)sysconf(_SC_PAGESIZE);
  int faults = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
  struct uffdio_api api = {.api = UFFD_API};
  if (faults < 0 || ioctl(faults, UFFDIO_API, &api) < 0) return answer_result(-1);
  held.page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  struct uffdio_register range = {
    .range = {.start = (uintptr_t)held.page, .len = size}, .mode = UFFDIO_REGISTER_MODE_MISSING};
  if (held.page == MAP_FAILED || ioctl(faults, UFFDIO_REGISTER, &range) < 0) return answer_result(-1);
  int event = eventfd(1, EFD_CLOEXEC);
  held.set = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event input = {.events = EPOLLIN};
  if (!keep_descriptor(slot, held.set)) return false;
  if (epoll_ctl(held.set, EPOLL_CTL_ADD, event, &input) < 0) return answer_result(-1);
  pthread_t thread;
  if (pthread_create(&thread, NULL, take_for_ever, NULL) != 0) return answer_result(-1);
  // The fault is told: the thread has the lock.
  struct uffd_msg message;
  return answer_result(read(faults, &message, sizeof message) == sizeof message ? 0 : -1);
}

bool do_collect(int count, char **arguments) {
  (void)count;
  static const char *const words[] = {"level", "edge", NULL};
  int descriptor, kind;
  uint64_t numbers[3];  // offset, total, milliseconds
  if (!parse_descriptor(arguments[0], &descriptor) || !parse_numbers(arguments + 1, 3, numbers) ||
      (kind = parse_word(arguments[4], words)) < 0)
    return false;
  int set = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN | (kind ? EPOLLET : 0)};
  if (set < 0 || epoll_ctl(set, EPOLL_CTL_ADD, descriptor, &event) < 0) return answer_result(-1);
  uint64_t sum = 0, waits = 0;
  int ready = 1;
  while (sum < numbers[1] && (ready = epoll_wait(set, &event, 1, (int)numbers[2])) == 1) {
    uint64_t value;
    if (pread(descriptor, &value, sizeof value, (off_t)numbers[0]) != sizeof value) break;
    sum += __builtin_bswap64(value);
    waits++;
  }
  close(set);
  answer("%s sum=%llu waits=%llu", ready == 1 ? "ok" : "stuck", (unsigned long long)sum,
         (unsigned long long)waits);
  return true;
}
