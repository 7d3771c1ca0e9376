// Many accesses at once, or under a storm of signals.
#include "crew.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

static bool parse_threads(const char *text, uint64_t *threads) {
  return (parse_number(text, threads) && *threads >= 1 && *threads <= most_threads) ||
    refuse("1 to %d threads", most_threads);
}

static void touch(struct worker *worker, const struct job *job) {
  for (uint64_t i = 0; i < job->count; i++) {
    uint64_t number = worker->number * job->count + i, value;
    uint8_t *address = job->mapping->base + job->offset + number * job->stride;
    worker->operations++;
    if (!(job->store ? guarded_store(address, job->size, number)
                     : guarded_load(address, job->size, &value)))
      tally_fault(worker);
  }
}

// OFFSET to the last of `count` accesses STRIDE apart lies in the mapping.
static bool parse_steps(char **texts, uint64_t count, struct job *job) {
  uint64_t numbers[3], extent;
  job->mapping = parse_mapping(texts[0]);
  if (!job->mapping || !parse_numbers(texts + 1, 3, numbers)) return false;
  job->offset = numbers[0], job->stride = numbers[1], job->size = numbers[2];
  if (!is_access_size(job->size)) return refuse("the size is 1, 2, 4 or 8");
  if (count == 0 || __builtin_mul_overflow(count - 1, job->stride, &extent) ||
      __builtin_add_overflow(extent, job->size, &extent) ||
      !contains(job->mapping, job->offset, extent))
    return refuse("outside the mapping");
  return true;
}

bool do_threads(int count, char **arguments) {
  (void)count;
  static const char *const words[] = {"load", "store", NULL};
  uint64_t threads, all;
  struct job job = {0};
  int word;
  if (!parse_threads(arguments[0], &threads) || !parse_numbers(arguments + 1, 1, &job.count) ||
      (word = parse_word(arguments[2], words)) < 0)
    return false;
  if (__builtin_mul_overflow(threads, job.count, &all)) return refuse("too many");
  if (!parse_steps(arguments + 3, all, &job)) return false;
  job.store = word;
  const struct worker *total = run_crew(threads, &job, touch);
  if (!total) return true;
  fprintf(output, "ok sigbus=%llu accesses=%llu microseconds=%llu",
          (unsigned long long)total->sigbus, (unsigned long long)total->operations,
          (unsigned long long)(total->ended - total->started) / 1000);
  return end_answer(total);
}

static void repeat_transfer(struct worker *worker, const struct job *job) {
  uint64_t end = nanoseconds_now() + job->nanoseconds, value = 0;
  do {
    ssize_t transferred = job->store ? pwrite(job->descriptor, &value, 8, (off_t)job->offset)
                                     : pread(job->descriptor, &value, 8, (off_t)job->offset);
    tally_transfer(worker, transferred);
    if (!job->store && transferred == 8) tally_value(worker, __builtin_bswap64(value), 1);
  } while (nanoseconds_now() < end);
}

static void print_values(const struct worker *total) {
  fputs(total->values[0].count ? " values=" : " values=-", output);
  for (int i = 0; i < most_values && total->values[i].count; i++)
    fprintf(output, "%s0x%llx:%llu", i ? "," : "", (unsigned long long)total->values[i].value,
            (unsigned long long)total->values[i].count);
  if (total->others) fprintf(output, ",other:%llu", (unsigned long long)total->others);
}

bool do_hammer(int count, char **arguments) {
  (void)count;
  static const char *const words[] = {"pread", "pwrite", NULL};
  uint64_t threads, milliseconds;
  struct job job = {0};
  int word;
  if (!parse_threads(arguments[0], &threads) || !parse_numbers(arguments + 1, 1, &milliseconds) ||
      (word = parse_word(arguments[2], words)) < 0 ||
      !parse_descriptor(arguments[3], &job.descriptor) ||
      !parse_numbers(arguments + 4, 1, &job.offset))
    return false;
  job.store = word;
  job.nanoseconds = milliseconds * 1000000;
  const struct worker *total = run_crew(threads, &job, repeat_transfer);
  if (!total) return true;
  fprintf(output, "ok operations=%llu errors=%llu", (unsigned long long)total->operations,
          (unsigned long long)total->errors);
  print_values(total);
  return end_answer(total);
}

static void trigger(struct worker *worker, const struct job *job) {
  static const uint64_t value = 0;
  for (uint64_t i = 0; i < job->count; i++)
    tally_transfer(worker, pwrite(job->descriptor, &value, 8, (off_t)job->offset));
}

bool do_burst(int count, char **arguments) {
  (void)count;
  uint64_t threads;
  struct job job = {0};
  if (!parse_threads(arguments[0], &threads) || !parse_numbers(arguments + 1, 1, &job.count) ||
      !parse_descriptor(arguments[2], &job.descriptor) ||
      !parse_numbers(arguments + 3, 1, &job.offset))
    return false;
  const struct worker *total = run_crew(threads, &job, trigger);
  if (!total) return true;
  fprintf(output, "ok errors=%llu microseconds=%llu", (unsigned long long)total->errors,
          (unsigned long long)(total->ended - total->started) / 1000);
  return end_answer(total);
}

static volatile sig_atomic_t alarms;

static void count_alarm(int signal_number) {
  (void)signal_number;
  alarms++;
}

// Forgets the pages in this process and, when nobody else maps them, in the page cache, so that
// the next pass waits for the server again: only a wait can be interrupted.
static void forget_pages(const struct job *job, uint64_t extent) {
  uint64_t start = job->offset & ~UINT64_C(4095), length = job->offset + extent - start;
  int descriptor = descriptor_in_slot(job->mapping->descriptor);
  madvise(job->mapping->base + start, length, MADV_DONTNEED);
  if (descriptor >= 0)
    posix_fadvise(descriptor, (off_t)(job->mapping->file_offset + start),
                  (off_t)((length + 4095) & ~UINT64_C(4095)), POSIX_FADV_DONTNEED);
}

bool do_storm(int count, char **arguments) {
  (void)count;
  uint64_t milliseconds;
  struct job job = {0};
  if (!parse_numbers(arguments, 1, &milliseconds) || !parse_numbers(arguments + 4, 1, &job.count))
    return false;
  char *steps[] = {arguments[1], arguments[2], arguments[3], "8"};
  if (!parse_steps(steps, job.count, &job)) return false;
  struct sigaction action = {.sa_handler = count_alarm}, before;
  struct itimerval interval = {{0, 200}, {0, 200}}, none = {0};
  struct worker worker = {0};
  uint64_t end = nanoseconds_now() + milliseconds * 1000000;
  alarms = 0;
  sigaction(SIGALRM, &action, &before);
  setitimer(ITIMER_REAL, &interval, NULL);
  for (;;) {
    touch(&worker, &job);
    if (nanoseconds_now() >= end) break;
    forget_pages(&job, (job.count - 1) * job.stride + job.size);
  }
  setitimer(ITIMER_REAL, &none, NULL);
  sigaction(SIGALRM, &before, NULL);
  fprintf(output, "ok sigbus=%llu accesses=%llu signals=%d", (unsigned long long)worker.sigbus,
          (unsigned long long)worker.operations, (int)alarms);
  return end_answer(&worker);
}
