// Trapped windows, and many threads that operate on one source through their pointers.
#include "crew.h"

#include <ctrap.h>
#include <sys/mman.h>

bool do_trap(int count, char **arguments) {
  (void)count;
  static const char *const protections[] = {"r", "rw", NULL};
  unsigned slot;
  int descriptor, word;
  uint64_t numbers[2];
  if (!parse_slot(arguments[0], &slot) || !parse_descriptor(arguments[1], &descriptor) ||
      !parse_numbers(arguments + 2, 2, numbers) ||
      (word = parse_word(arguments[4], protections)) < 0)
    return false;
  ctrap_device *device;
  void *base;
  int result = ctrap_device_open(descriptor, &device);
  if (result == 0) {
    // The window keeps the open file.
    result = ctrap_map(device, numbers[0], numbers[1], PROT_READ | (word ? PROT_WRITE : 0), &base);
    ctrap_device_close(device);
  }
  errno = -result;
  if (result < 0) return answer_result(-1);
  return keep_window(slot, base, numbers[1], numbers[0]) && answer_result(0);
}

// MARK: - One source, many threads

enum { most_operations = 64 };
enum operation { TRIGGER, END_OF_INTERRUPT, GET, SET_PQ };

struct entry {
  uint8_t operation, pq;  // SET_PQ: to what
  bool failed;
  uint64_t value;
};

static struct entry entries[most_threads][most_operations];

static uint64_t next_random(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return *state >> 33;
}

static void operate(const struct job *job, struct entry *entry) {
  uint8_t *pages = job->mapping->base + job->offset, *management = pages + job->stride;
  switch ((enum operation)entry->operation) {
  case TRIGGER: entry->failed = !guarded_store(pages, 8, 0); break;
  case END_OF_INTERRUPT: entry->failed = !guarded_load(management, 8, &entry->value); break;
  case GET: entry->failed = !guarded_load(management + 0x800, 8, &entry->value); break;
  case SET_PQ:
    entry->failed = !guarded_load(management + 0xc00 + entry->pq * 0x100, 8, &entry->value);
    break;
  }
}

// Without ends of interrupts where the seed is odd: each event is then told by the states that were left.
static void contend(struct worker *worker, const struct job *job) {
  const bool ends = job->size % 2 == 0;
  uint64_t random = job->size + worker->number * 0x9e3779b97f4a7c15u;
  for (uint64_t i = 0; i < job->count; i++) {
    uint64_t drawn = next_random(&random) % 8;
    struct entry *entry = &entries[worker->number][i];
    *entry = (struct entry){
      .operation = drawn < 3 ? TRIGGER : drawn < 5 && ends ? END_OF_INTERRUPT : drawn < 6 ? GET : SET_PQ,
      .pq = next_random(&random) % 4};
    operate(job, entry);
  }
}

// Each operation as OPERATION:PQ:VALUE; a fault has no value.
bool do_contend(int count, char **arguments) {
  (void)count;
  uint64_t numbers[6];
  struct job job = {.mapping = parse_mapping(arguments[2])};
  if (!job.mapping || !parse_numbers(arguments, 2, numbers) ||
      !parse_numbers(arguments + 3, 3, numbers + 3))
    return false;
  if (numbers[0] < 1 || numbers[0] > most_threads || numbers[1] > most_operations)
    return refuse("1 to %d threads, %d operations", most_threads, most_operations);
  job.count = numbers[1], job.offset = numbers[3], job.stride = numbers[4], job.size = numbers[5];
  if (!contains(job.mapping, job.offset, 2 * job.stride)) return refuse("outside the mapping");
  if (!run_crew(numbers[0], &job, contend)) return true;
  fputs("ok", output);
  for (uint64_t thread = 0; thread < numbers[0]; thread++)
    for (uint64_t i = 0; i < job.count; i++) {
      const struct entry *entry = &entries[thread][i];
      fprintf(output, " %d:%d:", entry->operation, entry->pq);
      if (entry->failed) putc('-', output);
      else fprintf(output, "%llu", (unsigned long long)entry->value);
    }
  putc('\n', output);
  return true;
}
