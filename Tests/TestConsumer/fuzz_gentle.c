// What a gentle fuzzer leaves alone: sources below its own, servers below 8, slot 0 of the memory, and
// what changes the machine as a whole.
#include "fuzz.h"

enum { first_server = 8, first_slot = 1 };

uint32_t gentle_lisn(struct fuzzer *fuzzer, uint64_t number) {
  return number < fuzzer->first_lisn ? (uint32_t)number + fuzzer->first_lisn : (uint32_t)number;
}

static uint64_t gentle_queue(uint64_t number) {
  uint64_t server = number >> KVM_XIVE_EQ_SERVER_SHIFT & 0x1fffffff;
  return server < first_server ? number | first_server << KVM_XIVE_EQ_SERVER_SHIFT : number;
}

static void gentle_route(struct fuzzer *fuzzer, uint8_t *payload) {
  struct xive_msi route;
  memcpy(&route, payload, sizeof route);
  route.first_lisn = gentle_lisn(fuzzer, route.first_lisn);
  memcpy(payload, &route, sizeof route);
}

bool make_gentle(struct fuzzer *fuzzer, uint32_t group, uint64_t *attribute, uint8_t *payload) {
  uint64_t value;
  memcpy(&value, payload, sizeof value);
  switch (group) {
  case KVM_DEV_XIVE_GRP_CTRL: return *attribute == KVM_DEV_XIVE_EQ_SYNC;
  case KVM_DEV_XIVE_GRP_SOURCE_CONFIG:
    value = gentle_queue(value);
    memcpy(payload, &value, sizeof value);
    *attribute = gentle_lisn(fuzzer, (uint32_t)*attribute);
    return true;
  case KVM_DEV_XIVE_GRP_SOURCE:
  case KVM_DEV_XIVE_GRP_SOURCE_SYNC:
  case XIVE_GROUP_PASSTHROUGH: *attribute = gentle_lisn(fuzzer, (uint32_t)*attribute); return true;
  case KVM_DEV_XIVE_GRP_EQ_CONFIG: *attribute = gentle_queue((uint32_t)*attribute); return true;
  case XIVE_GROUP_MSI:
    gentle_route(fuzzer, payload);
    return *attribute != 0;
  case XIVE_GROUP_MEMORY: return *attribute >= first_slot;
  case XIVE_GROUP_VP: return *attribute >= first_server;
  // An END leads to any other.
  case XIVE_GROUP_END:
  case XIVE_GROUP_MACHINE: return false;
  default: return true;
  }
}
