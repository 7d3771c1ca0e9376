// A guest's interrupts, all kinds of them at once, that can be moved from one device to another: a VMM
// with vCPUs and device models, and the account of every event. See traffic.c.
#ifndef TRAFFIC_H
#define TRAFFIC_H

#include "requests.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
  vcpu_count = 3,
  producer_count = 2,
  source_count = 24,
  first_line = 16,  // sources from here on are LSIs
  queue_size = 1 << 16,
  traffic_priority = 6,
  memory_size = vcpu_count * queue_size,
};

enum kind {
  kind_ipi,      // a vCPU stores to the trigger page of another's
  kind_page,     // a device model stores to the trigger page
  kind_message,  // KVM_SIGNAL_MSI
  kind_edge,     // an irqfd
  kind_level,    // an irqfd with its resample
  kind_line,     // KVM_IRQ_LINE, lowered by the driver
};

struct source {
  uint32_t lisn;
  enum kind kind;
  unsigned sender, target;  // vCPUs
  // Events follow each other without a look; else each waits until the one before has been taken.
  bool is_free;
  // Fires now and then, and not from the stop on until the state has been read: late events are its.
  bool is_slow;
  int event, resample;
  // `seen`: what had been sent when a handler last ran. `told`: resample events; `ended`: EOIs of a level.
  _Atomic uint64_t sent, seen, taken, spurious, ended, told, repeated;
};

// One device, as the VMM has it.
struct side {
  char path[256];
  int device, vcpu[vcpu_count];
  uint64_t page_size;
  uint32_t all_sources;
  int memory_file;
  uint8_t *memory;
};

struct producer {
  pthread_t thread;
  struct traffic *traffic;
  unsigned number;
  uint64_t chance;
  _Atomic uint64_t rounds;
};

struct vcpu {
  pthread_t thread;
  struct traffic *traffic;
  unsigned number;
  uint32_t next, toggle;
};

struct traffic {
  uint32_t first_lisn, first_server;
  uint64_t patience;  // nanoseconds
  struct side sides[2];
  unsigned here;  // the side of the vCPUs; changes while they stand still
  _Atomic unsigned producers_side;
  struct source sources[source_count];
  struct vcpu vcpus[vcpu_count];
  struct producer producers[producer_count];
  pthread_mutex_t lock;
  pthread_cond_t changed;
  unsigned parked;
  int wake;  // readable while vCPUs are to stand still
  // `is_late`: the state has been read, and what comes now is late.
  atomic_bool is_halted, is_late, is_ending, is_over;
  uint64_t late, moves;
  struct xive_source_state *records;  // what the machine was moved with
  atomic_flag has_failed;
  char failure[200];
};

// traffic.c
bool start_traffic(struct traffic *traffic);
void halt_vcpus(struct traffic *traffic);
void let_vcpus_run(struct traffic *traffic);
bool end_traffic(struct traffic *traffic);
__attribute__((format(printf, 2, 3))) void fail(struct traffic *traffic, const char *format, ...);
const char *failure_of(struct traffic *traffic);

// traffic_side.c: false after a failure was noted
bool open_side(struct traffic *traffic, struct side *side, bool starts_over);
bool set_up_machine(struct traffic *traffic, struct side *side);
bool share_memory(struct traffic *traffic, struct side *side, const struct side *before, bool is_same);
bool connect_vcpus(struct traffic *traffic, struct side *side);
bool add_routes(struct traffic *traffic, struct side *side);
void close_side(struct side *side);

// traffic_events.c: what makes an event of a source, and what ends it
void send_event(struct traffic *traffic, const struct side *side, struct source *source);
bool may_send(struct source *source);
void hear_end(struct traffic *traffic, struct source *source);
void handle_event(struct traffic *traffic, uint32_t lisn, unsigned target);
bool is_done(struct source *source);
void stand_still(struct traffic *traffic);
uint64_t esb_load(struct traffic *traffic, const struct side *side, uint32_t lisn, uint32_t operation);
void trigger(struct traffic *traffic, const struct side *side, uint32_t lisn);

// traffic_move.c
bool transfer_state(struct traffic *traffic, struct side *from, struct side *to);
bool join_side(struct traffic *traffic, struct side *from, struct side *to);

#endif
