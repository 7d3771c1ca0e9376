// vCPUs that take interrupts as Linux does, and device models that send them without a pause.
//
// Source: Linux arch/powerpc/sysdev/xive/common.c, xive_get_irq, xive_scan_interrupts.
#include "traffic.h"

#include <poll.h>
#include <stdarg.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

void fail(struct traffic *traffic, const char *format, ...) {
  if (atomic_flag_test_and_set(&traffic->has_failed)) return;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(traffic->failure, sizeof traffic->failure, format, arguments);
  va_end(arguments);
  traffic->is_over = true;
  eventfd_write(traffic->wake, 1);
}

const char *failure_of(struct traffic *traffic) { return *traffic->failure ? traffic->failure : NULL; }

// MARK: - vCPUs

// Where a vCPU may be taken off its processor.
void stand_still(struct traffic *traffic) {
  if (!traffic->is_halted) return;
  pthread_mutex_lock(&traffic->lock);
  traffic->parked++;
  pthread_cond_broadcast(&traffic->changed);
  while (traffic->is_halted) pthread_cond_wait(&traffic->changed, &traffic->lock);
  traffic->parked--;
  pthread_mutex_unlock(&traffic->lock);
}

void halt_vcpus(struct traffic *traffic) {
  pthread_mutex_lock(&traffic->lock);
  traffic->is_halted = true;
  eventfd_write(traffic->wake, 1);
  while (traffic->parked < vcpu_count && !traffic->is_over)
    pthread_cond_wait(&traffic->changed, &traffic->lock);
  pthread_mutex_unlock(&traffic->lock);
}

void let_vcpus_run(struct traffic *traffic) {
  eventfd_t count;
  pthread_mutex_lock(&traffic->lock);
  if (!traffic->is_over) eventfd_read(traffic->wake, &count);
  traffic->is_halted = false;
  pthread_cond_broadcast(&traffic->changed);
  pthread_mutex_unlock(&traffic->lock);
}

// The number in the queue's next entry; false when there is none.
static bool next_entry(struct vcpu *vcpu, uint32_t *number) {
  struct traffic *traffic = vcpu->traffic;
  uint8_t *memory = traffic->sides[traffic->here].memory + vcpu->number * queue_size;
  uint32_t *queue = (uint32_t *)(void *)memory;
  uint32_t entry = xive_be32_to_host(__atomic_load_n(&queue[vcpu->next], __ATOMIC_ACQUIRE));
  if (entry >> 31 != vcpu->toggle) return false;
  vcpu->next = (vcpu->next + 1) % (queue_size / 4);
  vcpu->toggle ^= vcpu->next == 0;
  *number = entry & 0x7fffffff;
  return true;
}

static void set_cppr(struct vcpu *vcpu, uint8_t priority) {
  const struct side *side = &vcpu->traffic->sides[vcpu->traffic->here];
  uint64_t page = xive_kernel_tima_offset(XIVE_VIEW_OS, side->page_size);
  if (pwrite(side->vcpu[vcpu->number], &priority, 1, (off_t)(page + XIVE_TIMA_OS_CPPR)) != 1)
    fail(vcpu->traffic, "vCPU %u: CPPR: errno %d", vcpu->number, errno);
}

static void take_interrupt(struct vcpu *vcpu) {
  struct traffic *traffic = vcpu->traffic;
  const struct side *side = &traffic->sides[traffic->here];
  uint64_t page = xive_kernel_tima_offset(XIVE_VIEW_OS, side->page_size);
  uint8_t bytes[2];
  if (pread(side->vcpu[vcpu->number], bytes, 2, (off_t)(page + XIVE_TIMA_ACK_OS)) != 2)
    return fail(traffic, "vCPU %u: acknowledge: errno %d", vcpu->number, errno);
  if (!(bytes[0] & 0x80)) return;  // read together with the one before
  uint32_t number;
  stand_still(traffic);
  while (!traffic->is_over && next_entry(vcpu, &number)) {
    stand_still(traffic);
    handle_event(traffic, number, vcpu->number);
  }
  stand_still(traffic);
  set_cppr(vcpu, 0xff);
}

static void send_ipis(struct vcpu *vcpu) {
  struct traffic *traffic = vcpu->traffic;
  for (int i = 0; i < source_count && !traffic->is_ending; i++) {
    struct source *source = &traffic->sources[i];
    if (source->kind != kind_ipi || source->sender != vcpu->number || !may_send(source)) continue;
    send_event(traffic, &traffic->sides[traffic->here], source);
  }
}

static void *run_vcpu(void *argument) {
  struct vcpu *vcpu = argument;
  struct traffic *traffic = vcpu->traffic;
  while (!traffic->is_over) {
    stand_still(traffic);
    send_ipis(vcpu);
    struct pollfd files[] = {
      {.fd = traffic->sides[traffic->here].vcpu[vcpu->number], .events = POLLIN},
      {.fd = traffic->wake, .events = POLLIN},
    };
    // The time is for IPIs that may be sent by then: nothing is taken that was not told.
    poll(files, 2, 20);
    stand_still(traffic);
    if (files[0].revents & POLLIN) take_interrupt(vcpu);
  }
  return NULL;
}

// MARK: - Device models

static bool fires_now(struct traffic *traffic, struct producer *producer) {
  if (traffic->is_halted) return traffic->is_late;
  return random_next(&producer->chance) % 128 == 0;
}

static void *run_producer(void *argument) {
  struct producer *producer = argument;
  struct traffic *traffic = producer->traffic;
  for (; !traffic->is_over; producer->rounds++) {
    const struct side *side = &traffic->sides[traffic->producers_side];
    bool has_sent = false;
    for (unsigned i = producer->number; i < source_count; i += producer_count) {
      struct source *source = &traffic->sources[i];
      hear_end(traffic, source);
      if (source->kind == kind_ipi || traffic->is_ending || !may_send(source)) continue;
      if (source->is_slow && !fires_now(traffic, producer)) continue;
      send_event(traffic, side, source);
      has_sent = true;
    }
    if (!has_sent) sched_yield();
  }
  return NULL;
}

// MARK: - From beginning to end

bool start_traffic(struct traffic *traffic) {
  for (unsigned i = 0; i < vcpu_count; i++) set_cppr(&traffic->vcpus[i], 0xff);
  for (unsigned i = 0; i < vcpu_count; i++)
    if (pthread_create(&traffic->vcpus[i].thread, NULL, run_vcpu, &traffic->vcpus[i])) abort();
  for (unsigned i = 0; i < producer_count; i++)
    if (pthread_create(&traffic->producers[i].thread, NULL, run_producer, &traffic->producers[i]))
      abort();
  return true;
}

static uint64_t progress(struct traffic *traffic) {
  uint64_t sum = 0;
  for (int i = 0; i < source_count; i++) sum += traffic->sources[i].taken + traffic->sources[i].told;
  return sum;
}

static const struct source *first_undone(struct traffic *traffic) {
  for (int i = 0; i < source_count; i++)
    if (!is_done(&traffic->sources[i])) return &traffic->sources[i];
  return NULL;
}

// A source that still has an event on its way, or to be ended: what was seen may come once more.
static const struct source *first_busy(struct traffic *traffic) {
  const struct side *side = &traffic->sides[traffic->here];
  for (int i = 0; i < source_count; i++)
    if (esb_load(traffic, side, traffic->sources[i].lisn, XIVE_ESB_GET) != XIVE_PQ_RESET)
      return &traffic->sources[i];
  return NULL;
}

static uint64_t all_taken(struct traffic *traffic) {
  uint64_t sum = 0;
  for (int i = 0; i < source_count; i++) sum += traffic->sources[i].taken;
  return sum;
}

// Sends nothing more and waits until everything is accounted for.
bool end_traffic(struct traffic *traffic) {
  traffic->is_ending = true;
  const struct source *undone;
  uint64_t last = progress(traffic), since = nanoseconds_now();
  while (((undone = first_undone(traffic)) || (undone = first_busy(traffic))) && !traffic->is_over) {
    sleep_nanoseconds(1000000);
    if (progress(traffic) != last) last = progress(traffic), since = nanoseconds_now();
    if (nanoseconds_now() - since > traffic->patience)
      fail(traffic, "LISN %u, kind %d: sent %llu, seen %llu, taken %llu, ended %llu, told %llu, PQ %llu",
           undone->lisn, undone->kind, (unsigned long long)undone->sent,
           (unsigned long long)undone->seen, (unsigned long long)undone->taken,
           (unsigned long long)undone->ended, (unsigned long long)undone->told,
           (unsigned long long)esb_load(
             traffic, &traffic->sides[traffic->here], undone->lisn, XIVE_ESB_GET));
  }
  // What is still on its way would be too much: nothing may come any more.
  uint64_t all = all_taken(traffic);
  sleep_nanoseconds(20000000);
  if (all_taken(traffic) != all) fail(traffic, "events came after all had been taken");
  traffic->is_over = true;
  eventfd_write(traffic->wake, 1);
  let_vcpus_run(traffic);
  for (int i = 0; i < vcpu_count; i++) pthread_join(traffic->vcpus[i].thread, NULL);
  for (int i = 0; i < producer_count; i++) pthread_join(traffic->producers[i].thread, NULL);
  return !failure_of(traffic);
}
