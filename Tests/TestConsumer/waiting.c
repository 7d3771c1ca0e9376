// Waiting for descriptors: poll, and one epoll for all of them.
#include "consumer.h"

#include <poll.h>
#include <sys/epoll.h>
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
