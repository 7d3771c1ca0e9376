// A machine that moves from one device to another while its device models go on: the sequence of
// requests, and what has to be carried over by hand because it came in between.
#include "traffic.h"

#include <unistd.h>

static const uint64_t flags_of_its_own = XIVE_STATE_IRQFD;

static bool set(
  struct traffic *traffic, const struct side *side, uint32_t group, uint64_t attribute,
  const void *value
) {
  if (set_attribute(side->device, group, attribute, value) == 0) return true;
  fail(traffic, "%s: restore of group %#x, attribute %llu: errno %d", side->path, group,
       (unsigned long long)attribute, errno);
  return false;
}

static bool set_running(struct traffic *traffic, const struct side *side, uint32_t is_running) {
  return set(traffic, side, XIVE_GROUP_MACHINE, XIVE_MACHINE_RUNNING, &is_running);
}

// All sources, in one transfer; false when that is refused.
static bool transfer_records(
  struct traffic *traffic, const struct side *side, struct xive_source_state *records, bool is_store
) {
  size_t size = side->all_sources * sizeof *records;
  off_t start = (off_t)xive_state_offset(0);
  ssize_t count = is_store ? pwrite(side->device, records, size, start)
                           : pread(side->device, records, size, start);
  if (count == (ssize_t)size) return true;
  fail(traffic, "%s: source state: %zd, errno %d", side->path, count, errno);
  return false;
}

static bool move_vp(struct traffic *traffic, struct side *from, struct side *to, uint32_t server) {
  struct xive_vp vp = {0};
  if (get_attribute(from->device, XIVE_GROUP_VP, server, &vp) < 0) {
    fail(traffic, "%s: VP %u: errno %d", from->path, server, errno);
    return false;
  }
  vp.flags = 0;
  if (!set(traffic, to, XIVE_GROUP_VP, server, &vp)) return false;
  for (uint32_t priority = 0; priority < XIVE_PRIORITIES; priority++) {
    struct xive_end end = {{0}};
    uint64_t index = xive_end_index(server, priority);
    if (get_attribute(from->device, XIVE_GROUP_END, index, &end) < 0) {
      fail(traffic, "%s: END %llu: errno %d", from->path, (unsigned long long)index, errno);
      return false;
    }
    if (end.word[0] & XIVE_END_W0_VALID && !set(traffic, to, XIVE_GROUP_END, index, &end))
      return false;
  }
  return true;
}

// Stops the machine and gives another what it has to know. vCPUs stand still.
bool transfer_state(struct traffic *traffic, struct side *from, struct side *to) {
  if (!set_running(traffic, from, 0) || !set_running(traffic, to, 0)) return false;
  struct xive_source_state *records = calloc(from->all_sources, sizeof *records);
  bool is_moved = transfer_records(traffic, from, records, false);
  for (uint32_t i = 0; i < vcpu_count && is_moved; i++)
    is_moved = move_vp(traffic, from, to, traffic->first_server + i);
  for (uint32_t i = 0; i < from->all_sources; i++) records[i].flags &= ~flags_of_its_own;
  is_moved = is_moved && transfer_records(traffic, to, records, true);
  free(records);
  return is_moved;
}

// MARK: - What came after the state had been read

static int pq_count(uint64_t flags) { return __builtin_popcountll(flags & XIVE_STATE_PQ); }

// What the old machine's source has taken since happens on the new machine, which is still stopped.
static void carry_over(
  struct traffic *traffic, const struct side *to, const struct source *source,
  struct xive_source_state then, struct xive_source_state now
) {
  uint64_t changed = (then.flags ^ now.flags) & ~(XIVE_STATE_PQ | XIVE_STATE_LATCHED | flags_of_its_own);
  if (changed == XIVE_STATE_ASSERTED && now.flags & XIVE_STATE_ASSERTED) {
    traffic->late++;
    if (set_line(to->device, source->lisn, 1) < 0)
      fail(traffic, "LISN %u: late line: errno %d", source->lisn, errno);
    return;
  }
  int count = pq_count(now.flags) - pq_count(then.flags);
  if (changed || count < 0 || then.config != now.config)
    fail(traffic, "LISN %u: the stopped machine changed, %#llx to %#llx", source->lisn,
         (unsigned long long)then.flags, (unsigned long long)now.flags);
  for (int i = 0; i < count; i++) trigger(traffic, to, source->lisn);
  traffic->late += count > 0;
}

// Device models that have looked which side is theirs before it changed are through twice.
static void switch_producers(struct traffic *traffic, unsigned side) {
  uint64_t rounds[producer_count];
  traffic->producers_side = side;
  for (int i = 0; i < producer_count; i++) rounds[i] = traffic->producers[i].rounds;
  for (int i = 0; i < producer_count; i++)
    while (traffic->producers[i].rounds < rounds[i] + 2 && !traffic->is_over)
      sleep_nanoseconds(100000);
}

static bool deassign_all(struct traffic *traffic, const struct side *side) {
  for (int i = 0; i < source_count; i++) {
    struct source *source = &traffic->sources[i];
    if (source->event < 0) continue;
    if (change_irqfd(side->device, source->lisn, source->event, source->resample,
                     KVM_IRQFD_FLAG_DEASSIGN) == 0)
      continue;
    fail(traffic, "%s: deassign of LISN %u: errno %d", side->path, source->lisn, errno);
    return false;
  }
  return true;
}

// Goes on with a machine that has its state, and is stopped: events have been reaching the old one since.
bool join_side(struct traffic *traffic, struct side *from, struct side *to) {
  size_t count = to->all_sources;
  struct xive_source_state *then = calloc(count, sizeof *then), *now = calloc(count, sizeof *now);
  bool is_well = transfer_records(traffic, to, then, false) && deassign_all(traffic, from) &&
    add_routes(traffic, to);
  switch_producers(traffic, (unsigned)(to - traffic->sides));
  is_well = is_well && transfer_records(traffic, from, now, false);
  for (int i = 0; i < source_count && is_well; i++) {
    uint32_t lisn = traffic->sources[i].lisn;
    carry_over(traffic, to, &traffic->sources[i], then[lisn], now[lisn]);
  }
  free(then);
  free(now);
  is_well = is_well && !failure_of(traffic) && set_running(traffic, to, 1);
  traffic->moves++;
  traffic->here = (unsigned)(to - traffic->sides);
  return is_well;
}
