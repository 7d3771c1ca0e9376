// Threads that start together; see crew.h.
#include "crew.h"

#include <signal.h>

struct crew {
  const struct job *job;
  job_work *work;
  pthread_mutex_t gate;  // held until every thread exists
  pthread_barrier_t barrier;
  bool cancelled;
  struct worker total, workers[most_threads];
};

void tally_value(struct worker *worker, uint64_t value, uint64_t count) {
  for (int i = 0; i < most_values; i++) {
    if (worker->values[i].count && worker->values[i].value != value) continue;
    worker->values[i].value = value;
    worker->values[i].count += count;
    return;
  }
  worker->others += count;
}

void tally_fault(struct worker *worker) {
  if (last_fault().signal == SIGBUS)
    worker->sigbus++;
  else
    worker->sigsegv++;
}

void tally_transfer(struct worker *worker, ssize_t transferred) {
  worker->operations++;
  if (transferred == 8) return;
  if (worker->errors++ == 0) worker->first_error = transferred < 0 ? errno : 0;
}

static void *run_worker(void *argument) {
  struct worker *worker = argument;
  struct crew *crew = worker->crew;
  pthread_mutex_lock(&crew->gate);
  bool cancelled = crew->cancelled;
  pthread_mutex_unlock(&crew->gate);
  if (cancelled) return NULL;
  void *stack = enter_signal_stack();
  pthread_barrier_wait(&crew->barrier);
  worker->started = nanoseconds_now();
  crew->work(worker, crew->job);
  worker->ended = nanoseconds_now();
  leave_signal_stack(stack);
  return NULL;
}

static void add_to_total(struct worker *total, const struct worker *worker) {
  if (!total->started || worker->started < total->started) total->started = worker->started;
  if (worker->ended > total->ended) total->ended = worker->ended;
  if (total->errors == 0) total->first_error = worker->first_error;
  total->operations += worker->operations;
  total->sigbus += worker->sigbus;
  total->sigsegv += worker->sigsegv;
  total->errors += worker->errors;
  total->others += worker->others;
  for (int i = 0; i < most_values && worker->values[i].count; i++)
    tally_value(total, worker->values[i].value, worker->values[i].count);
}

const struct worker *run_crew(uint64_t threads, const struct job *job, job_work *work) {
  static struct crew crew;
  crew = (struct crew){.job = job, .work = work};
  pthread_mutex_init(&crew.gate, NULL);
  pthread_barrier_init(&crew.barrier, NULL, (unsigned)threads);
  pthread_mutex_lock(&crew.gate);
  uint64_t started = 0;
  for (; started < threads && !crew.cancelled; started += !crew.cancelled) {
    struct worker *worker = &crew.workers[started];
    worker->crew = &crew;
    worker->number = started;
    int error = pthread_create(&worker->thread, NULL, run_worker, worker);
    if (error == 0) continue;
    crew.cancelled = true;
    errno = error;
    answer_errno();
  }
  pthread_mutex_unlock(&crew.gate);
  for (uint64_t i = 0; i < started; i++) {
    pthread_join(crew.workers[i].thread, NULL);
    add_to_total(&crew.total, &crew.workers[i]);
  }
  pthread_barrier_destroy(&crew.barrier);
  pthread_mutex_destroy(&crew.gate);
  return crew.cancelled ? NULL : &crew.total;
}

bool end_answer(const struct worker *total) {
  if (total->sigsegv) fprintf(output, " sigsegv=%llu", (unsigned long long)total->sigsegv);
  if (total->errors)
    fprintf(output, " errno=%s",
            total->first_error ? strerrorname_np(total->first_error) : "short");
  putc('\n', output);
  return true;
}
