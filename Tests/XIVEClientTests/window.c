// A guest's window where a test in Swift cannot go: holes, forks, threads, the limit of mappings.
//
//     window PATH
//
// PATH is a device of 128 sources and 4 KiB pages, of which 0 to 63 exist, with PHB 0 of 64
// messages and PHB 1 of 60 messages and 4 LSIs; it is changed. Prints a line for each expectation
// that is not met, and exits 1 if there was one.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "window.h"

enum { EXISTING = 64, SOURCES = 128, FAULT = 99 };

static xive_client *client;

// Loads that may fault.
static _Thread_local sigjmp_buf after_fault;
static atomic_ulong faults;

static void count_fault(int number) {
  (void)number;
  faults++;
  siglongjmp(after_fault, 1);
}

static void catch_faults(void) {
  struct sigaction action = {.sa_handler = count_fault, .sa_flags = SA_NODEFER};
  sigaction(SIGBUS, &action, NULL);
  sigaction(SIGSEGV, &action, NULL);
}

static uint64_t load(const char *address) {
  if (sigsetjmp(after_fault, 0)) return FAULT;
  return xive_be64_to_host(*(const volatile uint64_t *)address);
}

// Where in the device the page comes from that is there now, or FAULT. One load, for it may change.
static uint64_t page_at(const char *address) {
  uint64_t offset = load(address + XIVE_SIGNATURE_OFFSET + 40);
  EXPECT(offset == FAULT || offset >= xive_region_offset(XIVE_REGION_ESB));
  return offset;
}

static void check_holes(xive_client_window *window) {
  // A source that never existed: the instrument sees what it is for.
  EXPECT(page_at(pages_of(window, EXISTING)) == FAULT && faults == 1);
  // Two messages and two LSIs.
  EXPECT(plug(window, 8, 1, 58, 4) == 0);
  for (uint32_t i = 0; i < 4; i++) {
    const char *pages = pages_of(window, 8 + i);
    EXPECT(page_at(pages) == (i < 2 ? of_phb(1, 58 + i) : FAULT));
    EXPECT(page_at(pages + PAGE) == of_phb(1, 58 + i));
  }
  EXPECT(page_at(pages_of(window, 7) + PAGE) == own(15));
  EXPECT(page_at(pages_of(window, 12)) == own(24));
  // A PHB that is pulled out leaves holes, until the window is told.
  EXPECT(xive_client_remove_phb(client, 1) == 0);
  for (uint32_t page = 0; page < 8; page++)
    EXPECT(page_at(pages_of(window, 8) + page * PAGE) == FAULT);
  EXPECT(plug(window, 20, 1, 0, 1) == -ENOENT);
  EXPECT(unplug(window, 8, 1, 58, 4) == 0);
  for (uint32_t page = 0; page < 8; page++)
    EXPECT(page_at(pages_of(window, 8) + page * PAGE) == own(16 + page));
  // The same numbers, another device.
  struct xive_phb shape = {.nr_msis = 64};
  EXPECT(xive_client_add_phb(client, 1, &shape) == 0);
  EXPECT(plug(window, 8, 1, 60, 4) == 0);
  for (uint32_t page = 0; page < 8; page++)
    EXPECT(page_at(pages_of(window, 8) + page * PAGE) == of_phb(1, 60 + page / 2));
  EXPECT(load(pages_of(window, 8) + XIVE_SIGNATURE_OFFSET + 32) == 2);
  EXPECT(unplug(window, 8, 1, 60, 4) == 0);
}

static void check_fork(xive_client_window *window) {
  int told[2];
  EXPECT(plug(window, 4, 0, 0, 2) == 0 && pipe(told) == 0);
  pid_t child = fork();
  if (child == 0) {
    failures = 0;
    char word;
    close(told[1]);
    (void)!read(told[0], &word, 1);
    // The parent has unplugged its run; this one is the child's own.
    EXPECT(page_at(pages_of(window, 5)) == of_phb(0, 1));
    EXPECT(unplug(window, 4, 0, 0, 2) == 0 && page_at(pages_of(window, 5)) == own(10));
    EXPECT(plug(window, 30, 1, 0, 2) == 0 && page_at(pages_of(window, 30)) == of_phb(1, 0));
    _exit(failures == 0 ? 0 : 1);
  }
  EXPECT(unplug(window, 4, 0, 0, 2) == 0);
  close(told[1]), close(told[0]);
  int status = -1;
  EXPECT(waitpid(child, &status, 0) == child && status == 0);
  EXPECT(page_at(pages_of(window, 30)) == own(60));
}

// Threads that load while runs come and go.
static atomic_bool done;
static atomic_ulong passes, seen[2];

static void *hammer(void *argument) {
  xive_client_window *window = argument;
  while (!done) {
    for (uint32_t page = 0; page < 2 * EXISTING; page++) {
      uint64_t found = page_at(pages_of(window, 0) + page * PAGE);
      // Its own page, or that of the interrupt with the same number.
      bool is_own = found == own(page);
      EXPECT(is_own || found == FAULT || found == of_phb(0, page / 2)
        || found == of_phb(1, page / 2));
      if (found != FAULT) seen[is_own]++;
    }
    passes++;
  }
  return NULL;
}

static void *watch(void *argument) {
  while (!done) {
    check_mappings(pages_of(argument, 0), (size_t)EXISTING * 2 * PAGE, 0, __LINE__);
    passes++;
  }
  return NULL;
}

static void check_never_a_hole(xive_client_window *window) {
  pthread_t threads[3];
  faults = 0;
  for (int i = 0; i < 3; i++)
    EXPECT(pthread_create(&threads[i], NULL, i < 2 ? hammer : watch, window) == 0);
  // Until each kind of page has been seen often, however the threads are scheduled.
  for (int cycle = 0; cycle < 400 || passes < 300 || seen[0] < 1000 || seen[1] < 1000; cycle++) {
    EXPECT(plug(window, 0, 0, 0, 24) == 0 && plug(window, 24, 1, 24, 40) == 0);
    // In another order each time.
    bool first = cycle % 2;
    EXPECT(first ? unplug(window, 0, 0, 0, 24) == 0 : unplug(window, 24, 1, 24, 40) == 0);
    EXPECT(plug(window, first ? 3 : 30, 1 - first, first ? 3 : 30, 7) == 0);
    EXPECT(unplug(window, first ? 3 : 30, 1 - first, first ? 3 : 30, 7) == 0);
    EXPECT(first ? unplug(window, 24, 1, 24, 40) == 0 : unplug(window, 0, 0, 0, 24) == 0);
  }
  done = true;
  for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
  EXPECT(faults == 0);
  for (uint32_t page = 0; page < 2 * EXISTING; page++)
    EXPECT(page_at(pages_of(window, 0) + page * PAGE) == own(page));
}

static bool is_plugged(xive_client_window *window, uint32_t count) {
  return page_at(pages_of(window, 4 + count)) == of_phb(0, 4 + count);
}

static void check_base(xive_client_window *window) {
  const char *start = pages_of(window, 0);
  for (uint32_t page = 0; page < 2 * EXISTING; page++) EXPECT(page_at(start + page * PAGE) == own(page));
}

int main(int count, char **values) {
  if (count != 2) return 64;
  setvbuf(stdout, NULL, _IONBF, 0);
  catch_faults();
  client = xive_client_open(values[1], true, NULL);
  if (client == NULL) return 1;
  xive_client_window *window =
    xive_client_window_create(client, XIVE_REGION_ESB, 0, SOURCES, NULL);
  if (window == NULL) return 1;
  check_holes(window);
  check_fork(window);
  check_never_a_hole(window);
  EXPECT(check_limit(window, SOURCES, is_plugged, check_base) >= 20);
  xive_client_window_destroy(window);
  xive_client_close(client);
  return conclude();
}
