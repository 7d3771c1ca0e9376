// Events of sources: sent by device models, handled by drivers as Linux does.
//
// Source: Linux arch/powerpc/sysdev/xive/common.c, xive_do_source_eoi.
#include "traffic.h"

#include <unistd.h>

static const uint64_t message_address = 0xfee00000;

uint64_t esb_load(
  struct traffic *traffic, const struct side *side, uint32_t lisn, uint32_t operation
) {
  uint64_t value = 0;
  uint64_t page = xive_esb_offset(lisn, XIVE_MANAGEMENT, side->page_size);
  int error = xive_load(side->device, page + operation, &value);
  if (error) fail(traffic, "LISN %u: load of %#x: errno %d", lisn, operation, -error);
  return value;
}

void trigger(struct traffic *traffic, const struct side *side, uint32_t lisn) {
  int error = xive_store(side->device, xive_esb_offset(lisn, XIVE_TRIGGER, side->page_size), 0);
  if (error) fail(traffic, "LISN %u: trigger: errno %d", lisn, -error);
}

static void raise_event(struct traffic *traffic, struct source *source) {
  static const uint64_t one = 1;
  if (write(source->event, &one, sizeof one) != sizeof one)
    fail(traffic, "LISN %u: eventfd: errno %d", source->lisn, errno);
}

static void signal_message(
  struct traffic *traffic, const struct side *side, struct source *source
) {
  struct kvm_msi request = {
    .address_lo = (uint32_t)message_address,
    .data = source->lisn - traffic->first_lisn,
    .flags = KVM_MSI_VALID_DEVID,
    .devid = traffic->first_lisn,
  };
  if (ioctl(side->device, KVM_SIGNAL_MSI, &request) != 1)
    fail(traffic, "LISN %u: message: errno %d", source->lisn, errno);
}

bool may_send(struct source *source) { return source->is_free || source->sent == source->taken; }

void send_event(struct traffic *traffic, const struct side *side, struct source *source) {
  source->sent++;
  switch (source->kind) {
  case kind_ipi:
  case kind_page: trigger(traffic, side, source->lisn); break;
  case kind_message: signal_message(traffic, side, source); break;
  case kind_edge:
  case kind_level: raise_event(traffic, source); break;
  case kind_line:
    if (set_line(side->device, source->lisn, 1) < 0)
      fail(traffic, "LISN %u: line: errno %d", source->lisn, errno);
  }
}

// The guest has ended the interrupt: a device that still wants attention says so again.
void hear_end(struct traffic *traffic, struct source *source) {
  uint64_t count;
  if (source->kind != kind_level || read(source->resample, &count, sizeof count) < 0) return;
  source->told += count;
  if (source->sent == source->seen) return;
  source->repeated++;
  raise_event(traffic, source);
}

// The driver asks its device what there is to do; a level may come once more than that.
static void serve_device(struct traffic *traffic, struct source *source) {
  if (source->kind == kind_line &&
      set_line(traffic->sides[traffic->here].device, source->lisn, 0) < 0)
    fail(traffic, "LISN %u: line: errno %d", source->lisn, errno);
  uint64_t sent = source->sent;
  source->seen = sent;
  if (source->kind == kind_level && source->taken == sent) {
    source->spurious++;
  } else if (++source->taken > sent) {
    fail(traffic, "LISN %u: more events came than were sent", source->lisn);
  }
}

void handle_event(struct traffic *traffic, uint32_t lisn, unsigned target) {
  uint32_t index = lisn - traffic->first_lisn;
  struct source *source = &traffic->sources[index];
  if (index >= source_count || source->target != target)
    return fail(traffic, "vCPU %u got LISN %u", target, lisn);
  serve_device(traffic, source);
  stand_still(traffic);
  bool is_level = source->kind == kind_level || source->kind == kind_line;
  uint32_t operation = is_level ? XIVE_ESB_LOAD_EOI : XIVE_ESB_SET_PQ_00;
  uint64_t value = esb_load(traffic, &traffic->sides[traffic->here], lisn, operation);
  source->ended++;
  if (is_level || !(value & 1)) return;
  stand_still(traffic);
  trigger(traffic, &traffic->sides[traffic->here], lisn);  // Q was set
}

bool is_done(struct source *source) {
  if (source->kind == kind_level && source->told != source->ended) return false;
  return source->is_free || source->kind == kind_level ? source->seen == source->sent
                                                       : source->taken == source->sent;
}
