// mprotect, madvise, mlock and their kin on windows: protections PATH
#include "rig.h"

#include <sys/mman.h>

static uint8_t *memory(void *address, size_t length) {
  int fixed = address != NULL ? MAP_FIXED : 0;
  return mapped(address, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | fixed, -1, 0);
}

// The device as it is mapped without the library.
static uint8_t *map_plainly(uint32_t first, uint32_t count, int protection) {
  long result = syscall(SYS_mmap, NULL, (size_t)count * PAIR, protection, MAP_SHARED, device,
                        xive_esb_offset(first, XIVE_TRIGGER, PAGE));
  EXPECT(result != -1);
  return (uint8_t *)result;
}

static long told(long result) { return result == -1 ? -errno : result; }

// MARK: - mprotect

static void protect(void) {
  uint8_t *window = map_sources(NULL, 0, 8, 0);
  EXPECT(mprotect(window + 2 * PAIR, 2 * PAIR, PROT_READ) == 0);
  EXPECT_WINDOWS(window, 0, 2);
  EXPECT_CLOSED(window + 2 * PAIR, true);
  EXPECT(load(window + 2 * PAIR + PAGE, XIVE_ESB_GET) == exact_pq(2));
  EXPECT_CLOSED(window + 3 * PAIR + PAGE, true);
  EXPECT_WINDOWS(window + 4 * PAIR, 4, 4);
  EXPECT(mprotect(window + PAIR + PAGE, 1, PROT_NONE) == 0);
  EXPECT_CLOSED(window + PAIR + PAGE, false);
  EXPECT_CLOSED(window + PAIR + PAGE, true);
  EXPECT(mprotect(window, 8 * PAIR, PROT_READ | PROT_WRITE) == 0);
  EXPECT_WINDOWS(window, 0, 8);
  EXPECT(mprotect(window, 8 * PAIR, PROT_WRITE) == 0);
  EXPECT_WINDOWS(window, 0, 8);
  EXPECT(munmap(window, 8 * PAIR) == 0);
}

static void protect_mixtures(void) {
  uint8_t *window = map_sources(NULL, 8, 8, 0);
  memory(window + 2 * PAIR, PAIR);
  EXPECT(mprotect(window + PAIR, 3 * PAIR, PROT_READ) == 0);
  EXPECT_WINDOW(window, 8);
  EXPECT_CLOSED(window + PAIR, true);
  EXPECT_CLOSED(window + 2 * PAIR, true);
  EXPECT(touch(window + 2 * PAIR, false) == 0);
  EXPECT_CLOSED(window + 3 * PAIR, true);
  EXPECT_WINDOW(window + 4 * PAIR, 12);
  EXPECT(mprotect(window, 8 * PAIR, PROT_READ | PROT_WRITE) == 0);
  EXPECT_MEMORY(window + 2 * PAIR);
  EXPECT_WINDOWS(window + 3 * PAIR, 11, 5);
  // At a hole it ends; what is before it has been done.
  EXPECT(munmap(window + 4 * PAIR, PAIR) == 0);
  errno = 0;
  EXPECT(mprotect(window + 3 * PAIR, 3 * PAIR, PROT_READ) == -1 && errno == ENOMEM);
  EXPECT_CLOSED(window + 3 * PAIR, true);
  EXPECT_WINDOWS(window + 5 * PAIR, 13, 3);
  // What the kernel does not take.
  errno = 0;
  EXPECT(mprotect(window + 5 * PAIR, PAGE, 0x4000) == -1 && errno == EINVAL);
  errno = 0;
  EXPECT(mprotect(window + 5 * PAIR, PAGE, PROT_READ | PROT_GROWSDOWN) == -1 && errno == EINVAL);
  errno = 0;
  EXPECT(mprotect(window + 5 * PAIR + 1, PAGE, PROT_READ) == -1 && errno == EINVAL);
  EXPECT(mprotect(window + 5 * PAIR, 0, PROT_NONE) == 0);
  EXPECT_WINDOWS(window + 5 * PAIR, 13, 3);
  EXPECT(munmap(window, 8 * PAIR) == 0);
}

static void protect_readers(void) {
  int reader = open(device_path, O_RDONLY | O_CLOEXEC | O_DIRECT);
  uint8_t *window = mapped(NULL, PAIR, PROT_READ, MAP_SHARED, reader, xive_esb_offset(1, XIVE_TRIGGER, PAGE));
  errno = 0;
  EXPECT(mprotect(window, PAIR, PROT_READ | PROT_WRITE) == -1 && errno == EACCES);
  EXPECT_CLOSED(window, true);
  EXPECT(mprotect(window, PAIR, PROT_NONE) == 0);
  EXPECT_CLOSED(window + PAGE, false);
  EXPECT(mprotect(window, PAIR, PROT_READ) == 0);
  EXPECT(load(window + PAGE, XIVE_ESB_GET) == exact_pq(1));
  EXPECT(munmap(window, PAIR) == 0);
  close(reader);
}

static void protect_with_keys(void) {
  uint8_t *window = map_sources(NULL, 3, 2, 0);
  EXPECT(pkey_mprotect(window, PAIR, PROT_READ, -1) == 0);
  EXPECT_CLOSED(window, true);
  EXPECT_WINDOW(window + PAIR, 4);
  errno = 0;
  EXPECT(pkey_mprotect(window, PAIR, PROT_READ | PROT_WRITE, 77) == -1 && errno == EINVAL);
  EXPECT_CLOSED(window, true);
  // A processor without keys has not even the first.
  uint8_t *plain = map_plainly(3, 1, PROT_READ);
  int rights = PROT_READ | PROT_WRITE;
  EXPECT(told(pkey_mprotect(window, PAIR, rights, 0)) == told(syscall(SYS_pkey_mprotect, plain, PAIR, rights, 0)));
  EXPECT(mprotect(window, PAIR, rights) == 0 && syscall(SYS_munmap, plain, PAIR) == 0);
  EXPECT_WINDOW(window, 3);
  EXPECT(munmap(window, 2 * PAIR) == 0);
}

// MARK: - What only asks or advises gives what it gives for a mapping without the library.

static void advise(void) {
  static const int advices[] = {
    MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED, MADV_DONTNEED, MADV_FREE, MADV_DOFORK,
    MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_DONTDUMP, MADV_DODUMP, MADV_COLD, MADV_PAGEOUT, MADV_MERGEABLE,
    MADV_WIPEONFORK, MADV_POPULATE_READ, MADV_POPULATE_WRITE, 9999,
  };
  uint8_t *window = map_sources(NULL, 20, 4, 0), *plain = map_plainly(30, 4, PROT_READ | PROT_WRITE);
  for (size_t i = 0; i < sizeof advices / sizeof *advices; i++) {
    long seen = told(madvise(window, 4 * PAIR, advices[i]));
    long expected = told(syscall(SYS_madvise, plain, 4 * PAIR, advices[i]));
    if (seen != expected) {
      printf("advice %d: %ld, without the library %ld\n", advices[i], seen, expected);
      failures++;
    }
    EXPECT_WINDOWS(window, 20, 4);
  }
  // Without the right, and with memory and a hole in between.
  EXPECT(mprotect(window, 4 * PAIR, PROT_READ) == 0);
  EXPECT(madvise(window, 4 * PAIR, MADV_POPULATE_READ) == 0);
  errno = 0;
  EXPECT(madvise(window, 4 * PAIR, MADV_POPULATE_WRITE) == -1 && errno == EINVAL);
  memory(window + PAIR, PAGE);
  EXPECT(madvise(window, 2 * PAIR, MADV_POPULATE_READ) == 0);
  unsigned char is_there = 0;
  EXPECT(mincore(window + PAIR, PAGE, &is_there) == 0 && (is_there & 1) == 1);
  EXPECT(munmap(window + PAIR, PAGE) == 0);
  errno = 0;
  EXPECT(madvise(window, 2 * PAIR, MADV_POPULATE_READ) == -1 && errno == ENOMEM);
  EXPECT(munmap(window, 4 * PAIR) == 0 && syscall(SYS_munmap, plain, 4 * PAIR) == 0);
}

static void synchronise_and_lock(void) {
  uint8_t *window = map_sources(NULL, 20, 4, 0), *plain = map_plainly(30, 4, PROT_READ | PROT_WRITE);
  unsigned char pages[8];
  EXPECT(told(msync(window, 4 * PAIR, MS_SYNC)) == told(syscall(SYS_msync, plain, 4 * PAIR, MS_SYNC)));
  EXPECT(told(msync(window, 4 * PAIR, MS_ASYNC)) == told(syscall(SYS_msync, plain, 4 * PAIR, MS_ASYNC)));
  EXPECT(told(mincore(window, 4 * PAIR, pages)) == told(syscall(SYS_mincore, plain, 4 * PAIR, pages)));
  EXPECT(told(mlock(window, 4 * PAIR)) == told(syscall(SYS_mlock, plain, 4 * PAIR)));
  EXPECT_WINDOWS(window, 20, 4);
  EXPECT(told(munlock(window, 4 * PAIR)) == told(syscall(SYS_munlock, plain, 4 * PAIR)));
  EXPECT(told(mlock2(window + 1, PAIR, MLOCK_ONFAULT)) == told(syscall(SYS_mlock2, plain + 1, PAIR, MLOCK_ONFAULT)));
  EXPECT(told(mlock2(window, PAIR, 0x80)) == told(syscall(SYS_mlock2, plain, PAIR, 0x80)));
  EXPECT(munmap(window + PAIR, PAIR) == 0);
  errno = 0;
  EXPECT(mlock(window, 4 * PAIR) == -1 && errno == ENOMEM);
  EXPECT_WINDOW(window, 20);
  EXPECT_WINDOWS(window + 2 * PAIR, 22, 2);
  EXPECT(munmap(window, 4 * PAIR) == 0 && syscall(SYS_munmap, plain, 4 * PAIR) == 0);
}

int main(int count, char **values) {
  if (count != 2) return 64;
  open_device(values[1]);
  catch_faults();
  protect();
  protect_mixtures();
  protect_readers();
  protect_with_keys();
  advise();
  synchronise_and_lock();
  return conclude();
}
