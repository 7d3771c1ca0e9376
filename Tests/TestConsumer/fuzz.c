// Processes that make random requests of a device, all at once.
#include "fuzz.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { most_fuzzers = 16, most_bytes = 4096 };

int fuzz_device(struct fuzzer *fuzzer) {
  return fuzzer->devices[fuzz_below(fuzzer, fuzz_descriptors)];
}

static void prepare(struct fuzzer *fuzzer) {
  for (int i = 0; i < fuzz_descriptors; i++) {
    int mode = i == 4 ? O_RDONLY : i == 5 ? O_WRONLY : O_RDWR;
    fuzzer->devices[i] = open(fuzzer->path, mode | O_DIRECT);
    if (fuzzer->devices[i] < 0) _exit(1);
  }
  fuzzer->event = eventfd(0, EFD_NONBLOCK);
  fuzzer->resample = eventfd(0, EFD_NONBLOCK);
  fuzzer->memory = memfd_create("fuzz", MFD_ALLOW_SEALING);
  if (ftruncate(fuzzer->memory, 4 << 16) < 0 ||
      fcntl(fuzzer->memory, F_ADD_SEALS, F_SEAL_SHRINK) < 0)
    _exit(1);
  const int anonymous = MAP_PRIVATE | MAP_ANONYMOUS;
  fuzzer->usable = mmap(NULL, 2 * fuzz_page, PROT_NONE, anonymous, -1, 0);
  fuzzer->constant = mmap(NULL, fuzz_page, PROT_READ, anonymous, -1, 0);
  fuzzer->mapped = mmap(NULL, 16 * fuzz_page, PROT_READ | PROT_WRITE, MAP_SHARED,
                        fuzzer->devices[0], (off_t)xive_esb_offset(64, 0, fuzz_page));
  if (fuzzer->usable == MAP_FAILED || fuzzer->constant == MAP_FAILED ||
      fuzzer->mapped == MAP_FAILED ||
      mprotect(fuzzer->usable, fuzz_page, PROT_READ | PROT_WRITE) < 0)
    _exit(1);
}

// Loads and stores at any place, of any size, most of them in the sources' state.
static void fuzz_transfer(struct fuzzer *fuzzer) {
  static uint8_t bytes[most_bytes];
  uint64_t place = fuzz_below(fuzzer, 8) ? xive_region_offset(XIVE_REGION_STATE)
                                         : fuzz_number(fuzzer) << XIVE_REGION_SHIFT;
  // Whole records, or not.
  uint64_t unit = fuzz_below(fuzzer, 2) ? sizeof(struct xive_source_state) : 1;
  size_t size = fuzz_below(fuzzer, most_bytes / unit) * unit;
  off_t offset = (off_t)(place + fuzz_number(fuzzer) * unit);
  if (fuzzer->is_gentle || fuzz_below(fuzzer, 2)) {
    // What is loaded is what is stored later: most of it is right.
    return fuzz_count(fuzzer, pread(fuzz_device(fuzzer), bytes, size, offset));
  }
  if (fuzz_below(fuzzer, 2)) bytes[fuzz_below(fuzzer, most_bytes)] = (uint8_t)fuzz_number(fuzzer);
  fuzz_count(fuzzer, pwrite(fuzz_device(fuzzer), bytes, size, offset));
}

// A request's number with some bits changed, or any number.
static void fuzz_any(struct fuzzer *fuzzer) {
  static const uint64_t known[] = {
    KVM_IRQFD, KVM_IRQ_LINE, KVM_SIGNAL_MSI, KVM_ENABLE_CAP, KVM_GET_ONE_REG, KVM_SET_DEVICE_ATTR,
    XIVE_SET_ATTR, XIVE_GET_ATTR, XIVE_MAILBOX, KVM_CREATE_VCPU, KVM_RUN};
  uint64_t number = fuzz_below(fuzzer, 2)
    ? known[fuzz_below(fuzzer, sizeof known / sizeof *known)] ^ UINT64_C(1) << fuzz_below(fuzzer, 32)
    : (uint32_t)fuzz_number(fuzzer);
  // Those that the fuzzer knows are made elsewhere.
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (number == known[i]) return;
  static uint8_t argument[1 << 14];
  for (size_t i = 0; i < 64; i++) argument[i] = (uint8_t)fuzz_number(fuzzer);
  if (fuzzer->is_gentle) memset(argument, 0xff, 64);
  fuzz_count(fuzzer, ioctl(fuzz_device(fuzzer), number, argument));
}

static void reopen(struct fuzzer *fuzzer) {
  int *device = &fuzzer->devices[1 + fuzz_below(fuzzer, 3)];
  close(*device);
  *device = open(fuzzer->path, O_RDWR | O_DIRECT);
  if (*device < 0) _exit(1);
}

static void fuzz_once(struct fuzzer *fuzzer) {
  uint64_t one = 1;
  switch (fuzz_below(fuzzer, 16)) {
  case 0: return fuzz_any(fuzzer);
  case 1:
  case 2: return fuzz_transfer(fuzzer);
  case 3: return reopen(fuzzer);
  case 4: return fuzz_count(fuzzer, write(fuzzer->event, &one, sizeof one));
  case 5:
  case 6:
  case 7:
  case 8: return fuzz_kvm(fuzzer);
  default: return fuzz_attribute(fuzzer);
  }
}

bool do_fuzz(int count, char **arguments) {
  (void)count;
  static const char *const words[] = {"all", "gentle", NULL};
  uint64_t numbers[3], first;  // PROCESSES MILLISECONDS SEED
  int word;
  if (!parse_numbers(arguments + 1, 3, numbers) || (word = parse_word(arguments[4], words)) < 0 ||
      !parse_numbers(arguments + 5, 1, &first))
    return false;
  if (numbers[0] == 0 || numbers[0] > most_fuzzers) return refuse("1 to %d processes", most_fuzzers);
  uint64_t *totals = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  uint64_t end = nanoseconds_now() + numbers[1] * 1000000;
  for (uint64_t i = 0; i < numbers[0]; i++) {
    if (fork()) continue;
    static struct fuzzer fuzzer;
    fuzzer.path = arguments[0];
    fuzzer.is_gentle = word;
    fuzzer.first_lisn = (uint32_t)first;
    fuzzer.chance = numbers[2] * most_fuzzers + i;
    prepare(&fuzzer);
    while (nanoseconds_now() < end) fuzz_once(&fuzzer);
    __atomic_fetch_add(&totals[0], fuzzer.requests, __ATOMIC_SEQ_CST);
    __atomic_fetch_add(&totals[1], fuzzer.successes, __ATOMIC_SEQ_CST);
    _exit(0);
  }
  unsigned failed = 0;
  int status;
  while (wait(&status) > 0) failed += status != 0;
  answer("ok requests=%llu successes=%llu failed=%u", (unsigned long long)totals[0],
         (unsigned long long)totals[1], failed);
  munmap(totals, 4096);
  return true;
}
