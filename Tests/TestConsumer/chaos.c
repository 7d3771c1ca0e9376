// irqfds of processes that end in every way, at any moment: `chaos` starts them one after the other and
// kills some. Nothing of them may be left in the server afterwards.
#include "requests.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { most_irqfds = 12, child_count = 4, raiser_count = 2 };

// The sources: messages from `first` on, as many LSIs behind them.
struct ground {
  const char *path;
  uint32_t first, count;
};

struct owner {
  struct ground ground;
  uint64_t chance;
  int device, events[most_irqfds], resamples[most_irqfds];
  uint32_t lisns[most_irqfds];
  uint64_t seeds[raiser_count];
};

__attribute__((noreturn)) static void *raise_them(void *argument) {
  int *events = ((void **)argument)[0];
  uint64_t chance = *(uint64_t *)((void **)argument)[1];
  for (;;) {
    // Whatever number this is by now: closed, or another's eventfd.
    uint64_t one = 1;
    int event = events[random_next(&chance) % most_irqfds];
    if (event >= 0 && write(event, &one, sizeof one) < 0) continue;
  }
}

static void load_esb(struct owner *owner, uint32_t lisn, uint32_t operation) {
  uint64_t value;
  xive_load(owner->device, xive_esb_offset(lisn, XIVE_MANAGEMENT, 4096) + operation, &value);
}

static void assign_one(struct owner *owner, unsigned index) {
  bool is_line = random_next(&owner->chance) % 2, is_deaf = random_next(&owner->chance) % 8 == 0;
  uint32_t lisn = owner->ground.first + (uint32_t)(random_next(&owner->chance) % owner->ground.count);
  owner->lisns[index] = lisn + (is_line ? owner->ground.count : 0);
  // Above zero now and then: it fires at once.
  owner->events[index] = eventfd(random_next(&owner->chance) % 2, EFD_NONBLOCK);
  owner->resamples[index] = is_line ? eventfd(0, EFD_NONBLOCK) : -1;
  load_esb(owner, owner->lisns[index], XIVE_ESB_SET_PQ_00);  // it may be off
  int event = is_line && is_deaf ? -1 : owner->events[index];
  change_irqfd(owner->device, owner->lisns[index], event, owner->resamples[index], 0);
}

static void deassign_one(struct owner *owner, unsigned index) {
  change_irqfd(owner->device, owner->lisns[index], owner->events[index], owner->resamples[index],
               KVM_IRQFD_FLAG_DEASSIGN);
}

// One thing after the other, until it leaves.
static void live(struct owner *owner) {
  for (unsigned steps = (unsigned)(random_next(&owner->chance) % 60); steps > 0; steps--) {
    unsigned index = (unsigned)(random_next(&owner->chance) % most_irqfds);
    switch (random_next(&owner->chance) % 8) {
    case 0: close(owner->events[index]); break;  // the server has its own
    case 1: owner->events[index] = dup(owner->events[index]); break;
    case 2:
    case 3: deassign_one(owner, index); break;
    case 4:
    case 5: assign_one(owner, index); break;
    case 6: load_esb(owner, owner->lisns[index], XIVE_ESB_LOAD_EOI); break;
    case 7: close(owner->resamples[index]); break;
    }
  }
}

__attribute__((noreturn)) static void leave(struct owner *owner) {
  switch (random_next(&owner->chance) % 5) {
  case 0:  // in good order
    for (unsigned i = 0; i < most_irqfds; i++) deassign_one(owner, i);
    break;
  case 1:  // the last reference is a child's, which goes on for a moment
    if (fork() == 0) {
      sleep_nanoseconds(random_next(&owner->chance) % 20000000);
      live(owner);
    }
    break;
  case 2: {  // the last reference is a mapping
    void *page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, owner->device,
                      (off_t)xive_esb_offset(owner->ground.first, XIVE_MANAGEMENT, 4096));
    close(owner->device);
    if (page != MAP_FAILED) munmap(page, 4096);
    break;
  }
  case 3: close(owner->device); break;
  case 4:  // until it is killed
    for (;;) live(owner);
  }
  _exit(0);
}

__attribute__((noreturn)) static void be_owner(const struct ground *ground, uint64_t seed) {
  static struct owner owner;
  owner.ground = *ground;
  owner.chance = seed;
  owner.device = open(ground->path, O_RDWR | O_DIRECT);
  if (owner.device < 0) _exit(1);
  for (unsigned i = 0; i < most_irqfds; i++) assign_one(&owner, i);
  static void *arguments[raiser_count][2];
  for (unsigned i = 0; i < raiser_count; i++) {
    pthread_t thread;
    owner.seeds[i] = seed + i;
    arguments[i][0] = owner.events, arguments[i][1] = &owner.seeds[i];
    if (pthread_create(&thread, NULL, raise_them, arguments[i])) _exit(1);
  }
  live(&owner);
  leave(&owner);
}

bool do_chaos(int count, char **arguments) {
  (void)count;
  uint64_t numbers[4];  // FIRST COUNT MILLISECONDS SEED
  if (!parse_numbers(arguments + 1, 4, numbers)) return false;
  if (numbers[1] == 0) return refuse("no sources");
  const struct ground ground = {arguments[0], (uint32_t)numbers[0], (uint32_t)numbers[1]};
  uint64_t end = nanoseconds_now() + numbers[2] * 1000000, chance = numbers[3];
  pid_t children[child_count] = {0};
  unsigned started = 0, killed = 0, failed = 0;
  // Whoever is left of a child that forked is waited for here.
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  while (nanoseconds_now() < end) {
    pid_t *child = &children[random_next(&chance) % child_count];
    if (*child && random_next(&chance) % 2) killed += kill(*child, SIGKILL) == 0;
    int status;
    if (*child && waitpid(*child, &status, WNOHANG) == *child) {
      failed += WIFEXITED(status) && WEXITSTATUS(status);
      *child = 0;
    }
    if (!*child) {
      *child = fork();
      if (*child == 0) be_owner(&ground, random_next(&chance));
      started++;
    }
    sleep_nanoseconds(random_next(&chance) % 20000000);
  }
  for (int i = 0; i < child_count; i++)
    if (children[i]) kill(children[i], SIGKILL);
  while (wait(NULL) > 0 || errno == EINTR) {}
  prctl(PR_SET_CHILD_SUBREAPER, 0);
  answer("ok started=%u killed=%u failed=%u", started, killed, failed);
  return true;
}
