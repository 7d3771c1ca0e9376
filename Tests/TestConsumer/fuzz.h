// What a process that makes random requests has, and what it may do.
#ifndef FUZZ_H
#define FUZZ_H

#include "requests.h"

enum { fuzz_descriptors = 6, fuzz_page = 4096 };

struct fuzzer {
  const char *path;
  uint64_t chance, requests, successes;
  // A gentle one leaves alone what others on the device live on: see fuzz_gentle.c.
  bool is_gentle;
  uint32_t first_lisn;
  int devices[fuzz_descriptors], event, resample, memory;
  uint8_t *usable;   // a page, behind which there is one of no access
  uint8_t *constant;  // a page that cannot be written
  uint8_t *mapped;   // pages of the device itself
};

uint64_t fuzz_below(struct fuzzer *fuzzer, uint64_t limit);
uint64_t fuzz_number(struct fuzzer *fuzzer);  // any, the small and the odd ones more often
int fuzz_device(struct fuzzer *fuzzer);
// Fuzzed structures: KVM's requests and the mailbox's, the payload of an attribute.
void fuzz_kvm(struct fuzzer *fuzzer);
void fuzz_attribute(struct fuzzer *fuzzer);
void fuzz_count(struct fuzzer *fuzzer, long result);

// Makes a payload one that does no harm, or says that there is none such.
bool make_gentle(struct fuzzer *fuzzer, uint32_t group, uint64_t *attribute, uint8_t *payload);
uint32_t gentle_lisn(struct fuzzer *fuzzer, uint64_t number);

#endif
