// Requests as a VMM makes them: KVM's structures, and xive.h's.
#ifndef REQUESTS_H
#define REQUESTS_H

#include "consumer.h"

#include <linux/kvm.h>
#include <sys/ioctl.h>

#include "xive.h"

// All: the result of the system call, errno behind it.
int set_attribute(int device, uint32_t group, uint64_t attribute, const void *value);
int get_attribute(int device, uint32_t group, uint64_t attribute, void *value);
// An event of -1 with a resample event is told of ends alone; a resample event of -1 is none.
int change_irqfd(int device, uint32_t lisn, int event, int resample, uint32_t flags);
int set_line(int device, uint32_t lisn, uint32_t level);
int connect_vcpu(int descriptor, int device, uint32_t server);
uint64_t random_next(uint64_t *state);  // splitmix64, so that a seed says it all

#endif
