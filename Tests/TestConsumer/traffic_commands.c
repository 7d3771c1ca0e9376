// The commands of traffic.h: a guest is begun, moved, and brought to account.
#include "traffic.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

static struct traffic *traffic;

static bool answer_state(void) {
  const char *failure = failure_of(traffic);
  if (failure)
    answer("failed %s", failure);
  else
    answer("ok");
  return true;
}

static int make_event(void) {
  int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (event < 0) abort();
  return event;
}

static void make_source(unsigned index) {
  static const enum kind kinds[] = {
    kind_ipi,   kind_ipi,   kind_ipi,   kind_ipi,   kind_ipi,   kind_ipi,  kind_page,  kind_page,
    kind_page,  kind_message, kind_message, kind_message, kind_edge, kind_edge, kind_edge, kind_edge,
    kind_level, kind_level, kind_level, kind_level, kind_line,  kind_line, kind_line,  kind_line};
  static const unsigned targets[] = {1, 2, 2, 0, 0, 1};
  struct source *source = &traffic->sources[index];
  source->lisn = traffic->first_lisn + index;
  source->kind = kinds[index];
  source->sender = index / 2;
  source->target = source->kind == kind_ipi ? targets[index] : index % vcpu_count;
  source->is_free = index & 1;
  source->is_slow = index & 2;
  source->event = source->kind == kind_edge || source->kind == kind_level ? make_event() : -1;
  source->resample = source->kind == kind_level ? make_event() : -1;
}

bool do_traffic_start(int count, char **arguments) {
  uint64_t numbers[3];
  if (traffic) return refuse("there is traffic");
  if (!parse_numbers(arguments + 1, 3, numbers)) return false;
  traffic = calloc(1, sizeof *traffic);
  traffic->first_lisn = (uint32_t)numbers[0];
  traffic->first_server = (uint32_t)numbers[1];
  traffic->patience = numbers[2] * 1000000;
  traffic->wake = make_event();
  pthread_mutex_init(&traffic->lock, NULL);
  pthread_cond_init(&traffic->changed, NULL);
  for (unsigned i = 0; i < source_count; i++) make_source(i);
  for (unsigned i = 0; i < vcpu_count; i++)
    traffic->vcpus[i] = (struct vcpu){.traffic = traffic, .number = i, .toggle = 1};
  for (unsigned i = 0; i < producer_count; i++)
    traffic->producers[i] = (struct producer){.traffic = traffic, .number = i, .chance = i};
  struct side *side = &traffic->sides[0];
  traffic->sides[1].device = -1;
  snprintf(side->path, sizeof side->path, "%s", arguments[0]);
  if (open_side(traffic, side, count == 5) && set_up_machine(traffic, side)) start_traffic(traffic);
  return answer_state();
}

// vCPUs stand still from here on; the other device is set up as this one was.
bool do_traffic_halt(int count, char **arguments) {
  (void)count;
  static const char *const words[] = {"copy", "same", NULL};
  int word;
  if (!traffic || traffic->is_halted) return refuse("no traffic that could be halted");
  if ((word = parse_word(arguments[1], words)) < 0) return false;
  struct side *from = &traffic->sides[traffic->here], *to = &traffic->sides[!traffic->here];
  snprintf(to->path, sizeof to->path, "%s", arguments[0]);
  halt_vcpus(traffic);
  uint32_t stopped = 0;
  if (open_side(traffic, to, true) && share_memory(traffic, to, from, word == 1) &&
      set_attribute(to->device, XIVE_GROUP_MACHINE, XIVE_MACHINE_RUNNING, &stopped) < 0)
    fail(traffic, "stop: errno %d", errno);
  return answer_state();
}

// What `xive save --stop` and `xive restore --keep-stopped` do.
bool do_traffic_transfer(int count, char **arguments) {
  (void)count, (void)arguments;
  if (!traffic || !traffic->is_halted) return refuse("no traffic that is halted");
  struct side *from = &traffic->sides[traffic->here], *to = &traffic->sides[!traffic->here];
  if (!failure_of(traffic)) transfer_state(traffic, from, to);
  return answer_state();
}

// Before the state comes, or after it.
bool do_traffic_connect(int count, char **arguments) {
  (void)count, (void)arguments;
  if (!traffic || !traffic->is_halted) return refuse("no traffic that is halted");
  connect_vcpus(traffic, &traffic->sides[!traffic->here]);
  return answer_state();
}

// Somebody else has read the state.
bool do_traffic_late(int count, char **arguments) {
  (void)count, (void)arguments;
  if (!traffic || !traffic->is_halted) return refuse("no traffic that is halted");
  traffic->is_late = true;
  return answer_state();
}

bool do_traffic_join(int count, char **arguments) {
  (void)count, (void)arguments;
  if (!traffic || !traffic->is_halted) return refuse("no traffic that is halted");
  struct side *from = &traffic->sides[traffic->here], *to = &traffic->sides[!traffic->here];
  if (!failure_of(traffic)) {
    memcpy(to->memory, from->memory, memory_size);
    if (join_side(traffic, from, to)) {
      close_side(from);
      traffic->is_late = false;
      let_vcpus_run(traffic);
    }
  }
  return answer_state();
}

static void print_kinds(void) {
  static const char *const names[] = {"ipi", "page", "message", "edge", "level", "line"};
  for (int kind = 0; kind <= kind_line; kind++) {
    uint64_t taken = 0;
    for (int i = 0; i < source_count; i++)
      if (traffic->sources[i].kind == (enum kind)kind) taken += traffic->sources[i].taken;
    fprintf(output, " %s=%llu", names[kind], (unsigned long long)taken);
  }
}

bool do_traffic_end(int count, char **arguments) {
  (void)count, (void)arguments;
  if (!traffic) return refuse("no traffic");
  bool is_well = end_traffic(traffic);
  uint64_t told = 0, ended = 0, repeated = 0, spurious = 0;
  for (int i = 0; i < source_count; i++) {
    struct source *source = &traffic->sources[i];
    spurious += source->spurious, repeated += source->repeated;
    if (source->kind == kind_level) told += source->told, ended += source->ended;
    if (source->event >= 0) close(source->event);
    if (source->resample >= 0) close(source->resample);
  }
  // A level comes for nothing only when its device asked twice.
  if (is_well && spurious > repeated + traffic->late) {
    is_well = false;
    snprintf(traffic->failure, sizeof traffic->failure,
             "%llu levels came for nothing, and %llu were repeated", (unsigned long long)spurious,
             (unsigned long long)repeated);
  }
  if (is_well) {
    fprintf(output, "ok moves=%llu late=%llu told=%llu ended=%llu", (unsigned long long)traffic->moves,
            (unsigned long long)traffic->late, (unsigned long long)told, (unsigned long long)ended);
    print_kinds();
    answer("%s", "");
  } else {
    answer("failed %s", failure_of(traffic));
  }
  for (int i = 0; i < 2; i++) close_side(&traffic->sides[i]);
  close(traffic->wake);
  free(traffic);
  traffic = NULL;
  return true;
}
