// Mapping, unmapping and mapping over windows: mappings PATH
#include "rig.h"

#include <sys/ipc.h>
#include <sys/shm.h>

static uint8_t *memory(void *address, size_t length, int flags) {
  return mapped(address, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
}

// MARK: - mmap

static void map_and_unmap(void) {
  uint8_t *window = map_sources(NULL, 0, 16, 0);
  EXPECT_WINDOWS(window, 0, 16);
  // Two windows of one file are two.
  uint8_t *other = map_sources(NULL, 8, 8, 0);
  EXPECT_WINDOWS(other, 8, 8);
  EXPECT_WINDOWS(window, 0, 16);
  EXPECT(munmap(other, 8 * PAIR) == 0);
  EXPECT_GONE(other);
  EXPECT_WINDOWS(window, 0, 16);
  // By a length that is not whole, as the kernel takes it.
  EXPECT(munmap(window, 15 * PAIR + PAGE + 1) == 0);
  EXPECT_GONE(window);
  EXPECT_GONE(window + 16 * PAIR - PAGE);
}

static void map_lengths(void) {
  // The last page counts as a whole.
  uint8_t *window = mapped(NULL, PAGE + 1, PROT_READ | PROT_WRITE, MAP_SHARED, device,
                           xive_esb_offset(3, XIVE_TRIGGER, PAGE));
  EXPECT_WINDOW(window, 3);
  EXPECT(munmap(window, PAIR) == 0);
  // An alias of the same pages, and the kernel's own window.
  window = mapped(NULL, (4 + 2 * SOURCES) * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, device, 0);
  EXPECT_WINDOWS(window + 4 * PAGE, 0, SOURCES);
  EXPECT(load(window + 2 * PAGE, XIVE_TIMA_OS_RING) == XIVE_ALL_ONES);
  EXPECT(munmap(window, (4 + 2 * SOURCES) * PAGE) == 0);
}

static void map_rights(void) {
  uint64_t offset = xive_esb_offset(1, XIVE_TRIGGER, PAGE);
  uint8_t *window = mapped(NULL, PAIR, PROT_READ, MAP_SHARED, device, offset);
  EXPECT(load(window + PAGE, XIVE_ESB_GET) == exact_pq(1));
  EXPECT_CLOSED(window, true);
  EXPECT(munmap(window, PAIR) == 0);
  window = mapped(NULL, PAIR, PROT_NONE, MAP_SHARED, device, offset);
  EXPECT_CLOSED(window, true);
  EXPECT_CLOSED(window + PAGE, false);
  EXPECT(munmap(window, PAIR) == 0);
  // This processor reads what it may write.
  window = mapped(NULL, PAIR, PROT_WRITE, MAP_SHARED, device, offset);
  EXPECT_WINDOW(window, 1);
  EXPECT(munmap(window, PAIR) == 0);
}

// The kernel does not touch a window for a program: what it is asked to do has not been done, by nobody.
static void system_calls(void) {
  uint8_t *window = map_sources(NULL, 6, 1, 0);
  uint64_t count = xive_trap_access_count();
  int ends[2];
  EXPECT(pipe(ends) == 0);
  errno = 0;
  EXPECT(write(ends[1], window + PAGE + XIVE_ESB_GET, 8) == -1 && errno == EFAULT);
  EXPECT(write(ends[1], "a trigger", 8) == 8);
  errno = 0;
  EXPECT(read(ends[0], window, 8) == -1 && errno == EFAULT);
  EXPECT(xive_trap_access_count() == count);
  close(ends[0]), close(ends[1]);
  EXPECT_WINDOW(window, 6);
  EXPECT(munmap(window, PAIR) == 0);
}

static void map_other_types(void) {
  uint64_t offset = xive_esb_offset(5, XIVE_TRIGGER, PAGE);
  uint8_t *private = mapped(NULL, PAIR, PROT_READ, MAP_PRIVATE, device, offset);
  EXPECT_IMAGE(private, 5);
  EXPECT(munmap(private, PAIR) == 0);
  uint8_t *window = mapped(NULL, PAIR, PROT_READ | PROT_WRITE, MAP_SHARED_VALIDATE, device, offset);
  EXPECT_WINDOW(window, 5);
  EXPECT(munmap(window, PAIR) == 0);
  window = mapped(NULL, PAIR, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, device, offset);
  EXPECT_WINDOW(window, 5);
  EXPECT(munmap(window, PAIR) == 0);
  window = mmap64(NULL, PAIR, PROT_READ | PROT_WRITE, MAP_SHARED, device, (off64_t)offset);
  EXPECT_WINDOW(window, 5);
  EXPECT(munmap(window, PAIR) == 0);
  window = mapped(NULL, PAIR, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_32BIT, device, offset);
  EXPECT((uintptr_t)window >> 32 == 0);
  EXPECT_WINDOW(window, 5);
  EXPECT(munmap(window, PAIR) == 0);
}

// A region that cannot be mapped stays what it was.
static void map_unmappable(void) {
  uint64_t offset = (uint64_t)XIVE_REGION_STATE << XIVE_REGION_SHIFT;
  uint8_t *page = mapped(NULL, PAGE, PROT_READ, MAP_SHARED, device, offset);
  uint64_t count = xive_trap_access_count();
  EXPECT(touch(page, false) == SIGBUS && xive_trap_access_count() == count);
  EXPECT(munmap(page, PAGE) == 0);
}

// Every refusal is the kernel's own.
static void refusals(void) {
  int reader = open(device_path, O_RDONLY | O_CLOEXEC), writer = open(device_path, O_WRONLY | O_CLOEXEC);
  int place = open(device_path, O_PATH | O_CLOEXEC);
  EXPECT(reader >= 0 && writer >= 0 && place >= 0);
  uint8_t *taken = memory(NULL, PAIR, 0);
  const uint64_t esb = UINT64_C(1) << XIVE_REGION_SHIFT;
  const struct {
    void *address;
    size_t length;
    int protection, flags, fd;
    uint64_t offset;
    int error;
  } cases[] = {
    {NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, reader, esb, EACCES},
    {NULL, PAGE, PROT_WRITE, MAP_SHARED, reader, esb, EACCES},
    {NULL, PAGE, PROT_READ, MAP_SHARED, writer, esb, EACCES},
    {NULL, PAGE, PROT_NONE, MAP_SHARED, writer, esb, EACCES},
    {NULL, PAGE, PROT_READ, MAP_SHARED, place, esb, EBADF},
    {NULL, PAGE, PROT_READ, MAP_SHARED, 9999, esb, EBADF},
    {NULL, PAGE, PROT_READ, MAP_SHARED, -1, esb, EBADF},
    {NULL, 0, PROT_READ, MAP_SHARED, device, esb, EINVAL},
    {NULL, PAGE, PROT_READ, MAP_SHARED, device, esb + 8, EINVAL},
    {taken + 8, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, device, esb, EINVAL},
    {taken, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED_NOREPLACE, device, esb, EEXIST},
    {taken, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED | MAP_FIXED_NOREPLACE, device, esb, EEXIST},
    {NULL, SIZE_MAX - PAGE, PROT_READ, MAP_SHARED, device, esb, ENOMEM},
    {NULL, PAGE, PROT_READ, MAP_SHARED_VALIDATE | MAP_SYNC, device, esb, EOPNOTSUPP},
    {NULL, PAGE, PROT_READ, MAP_SHARED | MAP_HUGETLB, device, esb, EINVAL},
    {NULL, PAGE, PROT_READ, 0, device, esb, EINVAL},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    errno = 0;
    void *result = mmap(cases[i].address, cases[i].length, cases[i].protection, cases[i].flags, cases[i].fd,
                        (off_t)cases[i].offset);
    int error = errno;
    long plain = syscall(SYS_mmap, cases[i].address, cases[i].length, cases[i].protection, cases[i].flags,
                         cases[i].fd, cases[i].offset);
    if (result == MAP_FAILED && plain == -1 && error == errno && error == cases[i].error) continue;
    printf("refusal %zu: %p errno %d, plain %ld errno %d\n", i, result, error, plain, errno);
    failures++;
  }
  EXPECT_MEMORY(taken);
  EXPECT_MEMORY(taken + PAGE);
  // One that may only be read may be mapped so, and its window only loads.
  uint8_t *window = mapped(NULL, PAIR, PROT_READ, MAP_SHARED, reader, esb);
  EXPECT(load(window + PAGE, XIVE_ESB_GET) == exact_pq(0));
  EXPECT(munmap(window, PAIR) == 0 && munmap(taken, PAIR) == 0);
  close(reader);
  close(writer);
  close(place);
}

static void open_files(void) {
  int plain = open(device_path, O_RDWR | O_CLOEXEC);
  uint8_t *window = mapped(NULL, PAIR, PROT_READ | PROT_WRITE, MAP_SHARED, plain, xive_esb_offset(2, 0, PAGE));
  // Without it a load would have been answered from the page's image.
  EXPECT((fcntl(plain, F_GETFL) & O_DIRECT) != 0);
  EXPECT(close(plain) == 0);
  EXPECT_WINDOW(window, 2);
  EXPECT(munmap(window, PAIR) == 0);
}

// MARK: - Parts

static void unmap_parts(void) {
  uint8_t *window = map_sources(NULL, 0, 16, 0);
  EXPECT(munmap(window, 2 * PAIR) == 0);
  EXPECT(munmap(window + 14 * PAIR, 2 * PAIR) == 0);
  EXPECT(munmap(window + 7 * PAIR, PAIR) == 0);
  EXPECT_GONE(window + PAIR);
  EXPECT_GONE(window + 7 * PAIR);
  EXPECT_GONE(window + 7 * PAIR + PAGE);
  EXPECT_GONE(window + 14 * PAIR);
  EXPECT_WINDOWS(window + 2 * PAIR, 2, 5);
  EXPECT_WINDOWS(window + 8 * PAIR, 8, 6);
  // Refused, and as it was.
  errno = 0;
  EXPECT(munmap(window + 8 * PAIR + 1, PAIR) == -1 && errno == EINVAL);
  errno = 0;
  EXPECT(munmap(window + 8 * PAIR, 0) == -1 && errno == EINVAL);
  EXPECT_WINDOWS(window + 8 * PAIR, 8, 6);
  // Across memory and a hole.
  memory(window + 7 * PAIR, PAGE, MAP_FIXED);
  EXPECT_MEMORY(window + 7 * PAIR);
  EXPECT(munmap(window + 6 * PAIR, 3 * PAIR) == 0);
  EXPECT_GONE(window + 6 * PAIR);
  EXPECT_GONE(window + 8 * PAIR);
  EXPECT_WINDOWS(window + 9 * PAIR, 9, 5);
  EXPECT(munmap(window, 16 * PAIR) == 0);
}

static void map_memory_over(void) {
  uint8_t *window = map_sources(NULL, 16, 8, 0);
  memory(window + 2 * PAIR, PAIR, MAP_FIXED);
  EXPECT_MEMORY(window + 2 * PAIR);
  EXPECT_MEMORY(window + 2 * PAIR + PAGE);
  EXPECT_WINDOWS(window, 16, 2);
  EXPECT_WINDOWS(window + 3 * PAIR, 19, 5);
  // A file of memory, and a private mapping of the device itself.
  int file = memfd_create("other", MFD_CLOEXEC);
  EXPECT(file >= 0 && ftruncate(file, PAGE) == 0);
  mapped(window + 4 * PAIR, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0);
  EXPECT_MEMORY(window + 4 * PAIR);
  mapped(window + 5 * PAIR, PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, device, xive_esb_offset(40, 0, PAGE));
  EXPECT_IMAGE(window + 5 * PAIR, 40);
  EXPECT_WINDOWS(window + 6 * PAIR, 22, 2);
  // Refused: as it was.
  errno = 0;
  EXPECT(mmap(window + 6 * PAIR, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, 9999, 0) == MAP_FAILED && errno == EBADF);
  EXPECT_WINDOWS(window + 6 * PAIR, 22, 2);
  // Memory that is closed faults as memory does.
  close_memory(window + 2 * PAIR, PAIR);
  EXPECT_CLOSED(window + 2 * PAIR, false);
  EXPECT(munmap(window, 8 * PAIR) == 0);
  close(file);
}

static void map_windows_over(void) {
  // Over memory, over another window, over both and nothing.
  uint8_t *place = memory(NULL, 8 * PAIR, 0);
  EXPECT(map_sources(place + PAIR, 1, 2, MAP_FIXED) == place + PAIR);
  EXPECT_MEMORY(place);
  EXPECT_WINDOWS(place + PAIR, 1, 2);
  EXPECT_MEMORY(place + 3 * PAIR);
  map_sources(place + 2 * PAIR, 30, 1, MAP_FIXED);
  EXPECT_WINDOW(place + PAIR, 1);
  EXPECT_WINDOW(place + 2 * PAIR, 30);
  EXPECT(munmap(place + 5 * PAIR, PAIR) == 0);
  map_sources(place, 50, 7, MAP_FIXED);
  EXPECT_WINDOWS(place, 50, 7);
  EXPECT_MEMORY(place + 7 * PAIR);
  // A page of one source in the midst of another's.
  mapped(place + PAIR + PAGE, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, device,
         xive_esb_offset(9, XIVE_MANAGEMENT, PAGE));
  set_pq(9, XIVE_PQ_QUEUED);
  EXPECT(load(place + PAIR + PAGE, XIVE_ESB_GET) == XIVE_PQ_QUEUED);
  EXPECT_CLOSED(place + PAIR + PAGE, true);
  EXPECT_WINDOW(place, 50);
  EXPECT_WINDOW(place + 2 * PAIR, 52);
  // Where something is, it is not replaced; where nothing is, it is put.
  errno = 0;
  EXPECT(mmap(place, PAIR, PROT_READ, MAP_SHARED | MAP_FIXED_NOREPLACE, device, 0) == MAP_FAILED && errno == EEXIST);
  EXPECT_WINDOW(place, 50);
  EXPECT(munmap(place, 8 * PAIR) == 0);
  EXPECT(map_sources(place, 33, 2, MAP_FIXED_NOREPLACE) == place);
  EXPECT_WINDOWS(place, 33, 2);
  EXPECT(munmap(place, 8 * PAIR) == 0);
}

static void attach_over(void) {
  uint8_t *window = map_sources(NULL, 10, 4, 0);
  int id = shmget(IPC_PRIVATE, PAGE + 1, IPC_CREAT | 0600);
  EXPECT(id >= 0);
  errno = 0;
  EXPECT(shmat(id, window + PAIR, 0) == (void *)-1 && errno == EINVAL);
  EXPECT_WINDOWS(window, 10, 4);
  EXPECT(shmat(id, window + PAIR, SHM_REMAP) == window + PAIR);
  EXPECT_MEMORY(window + PAIR);
  EXPECT_MEMORY(window + PAIR + PAGE);
  EXPECT_WINDOW(window, 10);
  EXPECT_WINDOWS(window + 2 * PAIR, 12, 2);
  close_memory(window + PAIR, PAIR);
  EXPECT_CLOSED(window + PAIR, false);
  EXPECT_CLOSED(window + PAIR + PAGE, false);
  EXPECT(shmdt(window + PAIR) == 0 && shmctl(id, IPC_RMID, NULL) == 0);
  EXPECT_GONE(window + PAIR);
  EXPECT(munmap(window, 4 * PAIR) == 0);
}

int main(int count, char **values) {
  if (count != 2) return 64;
  open_device(values[1]);
  catch_faults();
  map_and_unmap();
  map_lengths();
  map_rights();
  system_calls();
  map_other_types();
  map_unmappable();
  refusals();
  open_files();
  unmap_parts();
  map_memory_over();
  map_windows_over();
  attach_over();
  return conclude();
}
