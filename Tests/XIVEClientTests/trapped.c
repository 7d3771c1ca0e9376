// A guest's trapped window: which page a touch has operated on, while runs are plugged and unplugged.
//
//     trapped PATH
//
// PATH is a device of 128 sources and 4 KiB pages, of which 0 to 63 exist, with PHB 0 of 64
// messages and PHB 1 of 60 messages and 4 LSIs; it is changed. Prints a line for each expectation
// that is not met, and exits 1 if there was one.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "window.h"

enum { EXISTING = 64, SOURCES = 128, THREADS = 6 };
// PQ by which a page tells whose it is.
enum { OWN = XIVE_PQ_OFF, PHB = XIVE_PQ_QUEUED };

static xive_client *client;

static uint64_t load(const char *address) {
  return xive_be64_to_host(*(const volatile uint64_t *)address);
}

static void store(const char *address) { *(volatile uint64_t *)address = 0; }

static const char *management(xive_client_window *window, uint32_t lisn) {
  return pages_of(window, lisn) + PAGE;
}

static uint64_t shown(xive_client_window *window, uint32_t lisn) {
  return load(management(window, lisn) + XIVE_ESB_GET);
}

// State of an interrupt, by the PHB's own page.
static uint64_t set_irq(uint32_t phb, uint32_t irq, uint32_t pq) {
  uint64_t old = XIVE_ALL_ONES;
  uint64_t offset = of_phb(phb, irq) + XIVE_ESB_SET_PQ_00 + pq * XIVE_ESB_SET_PQ_STEP;
  EXPECT(xive_client_load(client, offset, &old) == 0);
  return old;
}

static uint64_t irq_pq(uint32_t phb, uint32_t irq) {
  uint64_t pq = XIVE_ALL_ONES;
  EXPECT(xive_client_load(client, of_phb(phb, irq) + XIVE_ESB_GET, &pq) == 0);
  return pq;
}

static uint64_t pq_of(uint32_t lisn) {
  uint64_t pq = UINT64_MAX;
  EXPECT(xive_client_pq(client, lisn, &pq) == 0);
  return pq;
}

// Has every page tell whose it is.
static void mark(void) {
  for (uint32_t i = 0; i < EXISTING; i++) {
    EXPECT(xive_client_set_pq(client, i, OWN, NULL) == 0);
    set_irq(0, i, PHB), set_irq(1, i, PHB);
  }
}

// MARK: - What a touch is

static void check_holes(xive_client_window *window) {
  EXPECT(shown(window, EXISTING) == XIVE_ALL_ONES);
  store(pages_of(window, EXISTING));
  // Two messages and two LSIs: a message's page takes both, an LSI's has no trigger page.
  EXPECT(plug(window, 8, 1, 58, 4) == 0);
  for (uint32_t i = 0; i < 4; i++) {
    EXPECT(shown(window, 8 + i) == PHB);
    EXPECT(load(management(window, 8 + i) + XIVE_ESB_SET_PQ_00) == PHB);
    store(pages_of(window, 8 + i));
    EXPECT(irq_pq(1, 58 + i) == (i < 2 ? XIVE_PQ_PENDING : XIVE_PQ_RESET));
    EXPECT(load(pages_of(window, 8 + i)) == (i < 2 ? 0 : XIVE_ALL_ONES));
    EXPECT(pq_of(8 + i) == OWN);
  }
  EXPECT(shown(window, 7) == OWN && shown(window, 12) == OWN);
  // A PHB that is pulled out leaves holes, until the window is told.
  EXPECT(xive_client_remove_phb(client, 1) == 0);
  for (uint32_t lisn = 8; lisn < 12; lisn++) {
    EXPECT(shown(window, lisn) == XIVE_ALL_ONES);
    store(pages_of(window, lisn));
  }
  EXPECT(unplug(window, 8, 1, 58, 4) == 0);
  for (uint32_t lisn = 8; lisn < 12; lisn++) EXPECT(shown(window, lisn) == OWN);
  // The same numbers, another device.
  struct xive_phb shape = {.nr_msis = 64};
  EXPECT(xive_client_add_phb(client, 1, &shape) == 0);
  mark();
  EXPECT(plug(window, 8, 1, 60, 4) == 0);
  for (uint32_t lisn = 8; lisn < 12; lisn++) EXPECT(shown(window, lisn) == PHB);
  EXPECT(unplug(window, 8, 1, 60, 4) == 0);
}

// Soon what it must be, for a mapped page's image follows the state.
static bool follows(const char *address, uint64_t value) {
  for (int tries = 0; load(address) != value && tries < 60000; tries++) usleep(1000);
  return load(address) == value;
}

// Windows of both kinds on the same pages, in one process, plugged alike or not.
static void check_both_kinds(xive_client_window *trapped) {
  xive_client_window *mapped = xive_client_window_create(client, XIVE_REGION_ESB, 0, SOURCES, NULL);
  EXPECT(mapped != NULL);
  for (uint32_t lisn = 2; lisn < 4; lisn++) {
    const char *image = management(mapped, lisn), *page = management(trapped, lisn);
    EXPECT(follows(image + XIVE_ESB_GET, OWN));
    EXPECT(load(page + XIVE_ESB_SET_PQ_00) == OWN);
    EXPECT(follows(image + XIVE_ESB_GET, XIVE_PQ_RESET));
    store(pages_of(trapped, lisn));
    EXPECT(follows(image + XIVE_ESB_GET, XIVE_PQ_PENDING));
    // A mapped store is there for a trapped load once it has been written back.
    store(image + XIVE_ESB_SET_PQ_11);
    EXPECT(msync((void *)image, PAGE, MS_SYNC) == 0);
    EXPECT(load(page + XIVE_ESB_GET) == XIVE_PQ_QUEUED);
    EXPECT(load(page + XIVE_ESB_LOAD_EOI) == 1);
    store(pages_of(mapped, lisn));
    EXPECT(msync((void *)pages_of(mapped, lisn), PAGE, MS_SYNC) == 0);
    EXPECT(load(page + XIVE_ESB_GET) == XIVE_PQ_QUEUED);
    // Plugged in one of them, and then in the other.
    EXPECT(plug(lisn == 2 ? trapped : mapped, lisn, 0, lisn, 1) == 0);
    EXPECT(load(page + XIVE_ESB_SET_PQ_10) == XIVE_PQ_QUEUED);
    EXPECT(follows(image + XIVE_ESB_GET, lisn == 2 ? XIVE_PQ_QUEUED : PHB));
    EXPECT(irq_pq(0, lisn) == (lisn == 2 ? XIVE_PQ_PENDING : PHB));
    EXPECT(pq_of(lisn) == (lisn == 2 ? XIVE_PQ_QUEUED : XIVE_PQ_PENDING));
    EXPECT(plug(lisn == 2 ? mapped : trapped, lisn, 0, lisn, 1) == 0);
    EXPECT(load(page + XIVE_ESB_SET_PQ_01) == (lisn == 2 ? XIVE_PQ_PENDING : PHB));
    EXPECT(follows(image + XIVE_ESB_GET, XIVE_PQ_OFF));
    EXPECT(unplug(trapped, lisn, 0, lisn, 1) == 0 && unplug(mapped, lisn, 0, lisn, 1) == 0);
  }
  xive_client_window_destroy(mapped);
  mark();
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
    EXPECT(shown(window, 4) == PHB && shown(window, 5) == PHB && shown(window, 6) == OWN);
    EXPECT(unplug(window, 4, 0, 0, 2) == 0 && shown(window, 5) == OWN);
    EXPECT(plug(window, 30, 1, 0, 2) == 0 && shown(window, 30) == PHB);
    _exit(failures == 0 ? 0 : 1);
  }
  EXPECT(unplug(window, 4, 0, 0, 2) == 0 && shown(window, 4) == OWN);
  close(told[1]), close(told[0]);
  int status = -1;
  EXPECT(waitpid(child, &status, 0) == child && status == 0);
  EXPECT(shown(window, 30) == OWN);
}

// MARK: - In one step

// Counts the operator's moves: 0 own, 1 being plugged, 2 plugged, 3 being unplugged, modulo 4.
static atomic_uint moves;
static atomic_bool done;
static atomic_uint passes[THREADS];
static atomic_ulong steps_seen;

struct part {
  pthread_t thread;
  xive_client_window *window;
  uint32_t number;
};

static void judge_pair(unsigned before, unsigned after, uint64_t first, uint64_t second) {
  EXPECT((first == OWN || first == PHB) && (second == OWN || second == PHB));
  if (before != after) return;
  // While one move goes on there is one step at most, and it goes one way.
  static const bool allowed[4][2][2] = {
    {{true, false}, {false, false}}, {{true, true}, {false, true}},
    {{false, false}, {false, true}}, {{true, false}, {true, true}},
  };
  EXPECT(allowed[before % 4][first == PHB][second == PHB]);
  if (first != second) steps_seen++;
}

// The ends of a run, in either order.
static void *look_twice(void *argument) {
  const struct part *part = argument;
  for (unsigned round = 0; !done; round++) {
    uint32_t a = round % 2 != 0 ? 0 : 39, b = 39 - a;
    unsigned before = moves;
    uint64_t first = shown(part->window, a), second = shown(part->window, b);
    judge_pair(before, moves, first, second);
    passes[part->number]++;
  }
  return NULL;
}

static void start(struct part *parts, xive_client_window *window, void *(*work)(void *)) {
  done = false;
  for (uint32_t i = 0; i < THREADS; i++) {
    parts[i] = (struct part){.window = window, .number = i};
    EXPECT(pthread_create(&parts[i].thread, NULL, work, &parts[i]) == 0);
  }
}

static void end(struct part *parts) {
  done = true;
  for (uint32_t i = 0; i < THREADS; i++) pthread_join(parts[i].thread, NULL);
}

// Until each thread has begun and ended something more.
static void await_threads(void) {
  for (uint32_t i = 0; i < THREADS; i++) {
    unsigned start = passes[i];
    while (passes[i] - start < 2) sched_yield();
  }
}

static void check_one_step(xive_client_window *window) {
  struct part parts[THREADS];
  start(parts, window, look_twice);
  for (int cycle = 0; cycle < 100 || (steps_seen < 20 && cycle < 20000); cycle++) {
    moves++;
    EXPECT(plug(window, 0, 0, 0, 40) == 0);
    moves++;
    if (cycle % 4 == 0) await_threads();
    moves++;
    EXPECT(unplug(window, 0, 0, 0, 40) == 0);
    moves++;
    if (cycle % 4 == 0) await_threads();
  }
  end(parts);
  EXPECT(steps_seen >= 20);
}

// MARK: - After the answer

enum { STRUCK = 4 };

static void *trigger(void *argument) {
  const struct part *part = argument;
  for (unsigned round = 0; !done; round++) {
    store(pages_of(part->window, (round + part->number) % STRUCK));
    passes[part->number]++;
  }
  return NULL;
}

// No trigger may reach the pages of before once the window says that it shows others.
static void check_no_stray(xive_client_window *window) {
  struct part parts[THREADS];
  start(parts, window, trigger);
  for (int cycle = 0; cycle < 300; cycle++) {
    EXPECT(plug(window, 0, 0, 8, STRUCK) == 0);
    for (uint32_t i = 0; i < STRUCK; i++)
      EXPECT(xive_client_set_pq(client, i, XIVE_PQ_RESET, NULL) == 0);
    await_threads();
    for (uint32_t i = 0; i < STRUCK; i++) EXPECT(pq_of(i) == XIVE_PQ_RESET);
    EXPECT(unplug(window, 0, 0, 8, STRUCK) == 0);
    for (uint32_t i = 0; i < STRUCK; i++) set_irq(0, 8 + i, XIVE_PQ_RESET);
    await_threads();
    for (uint32_t i = 0; i < STRUCK; i++) EXPECT(irq_pq(0, 8 + i) == XIVE_PQ_RESET);
  }
  end(parts);
  // They did reach where they should.
  for (uint32_t i = 0; i < STRUCK; i++) EXPECT(pq_of(i) == XIVE_PQ_QUEUED);
  mark();
}

// MARK: - At the limit of mappings

static bool is_plugged(xive_client_window *window, uint32_t count) {
  return shown(window, 5) == PHB && shown(window, 4 + count) == PHB;
}

static void check_base(xive_client_window *window) {
  for (uint32_t lisn = 0; lisn < EXISTING; lisn++) EXPECT(shown(window, lisn) == OWN);
}

int main(int count, char **values) {
  if (count != 2) return 64;
  setvbuf(stdout, NULL, _IONBF, 0);
  client = xive_client_open(values[1], true, NULL);
  if (client == NULL) return 1;
  xive_client_window *window =
    xive_client_window_create_trapped(client, XIVE_REGION_ESB, 0, SOURCES, NULL);
  if (window == NULL) return 1;
  EXPECT(xive_client_window_length(window) == (size_t)SOURCES * 2 * PAGE);
  mark();
  check_holes(window);
  check_both_kinds(window);
  check_fork(window);
  check_one_step(window);
  check_no_stray(window);
  EXPECT(check_limit(window, SOURCES, is_plugged, check_base) >= 10);
  xive_client_window_destroy(window);
  xive_client_close(client);
  return conclude();
}
