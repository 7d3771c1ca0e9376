// Threads that start together, do one job each and are counted together.
#ifndef CREW_H
#define CREW_H

#include "consumer.h"

#include <pthread.h>
#include <sys/types.h>

enum { most_values = 8 };

struct job {
  struct mapping *mapping;
  int descriptor;
  bool store;
  uint64_t count, offset, stride, size, nanoseconds;
};

struct worker {
  pthread_t thread;
  struct crew *crew;
  uint64_t number, started, ended;
  uint64_t operations, sigbus, sigsegv, errors, others;
  int first_error;  // 0 with errors > 0: a short transfer
  struct {
    uint64_t value, count;
  } values[most_values];
};

typedef void job_work(struct worker *worker, const struct job *job);

// What all threads did together, or NULL after an answer that they could not be started.
const struct worker *run_crew(uint64_t threads, const struct job *job, job_work *work);
void tally_value(struct worker *worker, uint64_t value, uint64_t count);
void tally_fault(struct worker *worker);
void tally_transfer(struct worker *worker, ssize_t transferred);  // of 8 bytes
// Ends an answer that was begun on `output` with what is out of the ordinary, if anything.
bool end_answer(const struct worker *total);

#endif
