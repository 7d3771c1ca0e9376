// xive_trap.h, in a program that is linked with the library: interface PATH, with XIVE_TRAP=tima
#include "rig.h"

static void windows(void) {
  int fd = open(device_path, O_RDWR | O_CLOEXEC);
  uint64_t offset = xive_esb_offset(4, XIVE_TRIGGER, PAGE), count = xive_trap_access_count();
  void *address = NULL;
  EXPECT(xive_trap_map(fd, offset, 2 * PAIR, PROT_READ | PROT_WRITE, &address) == 0);
  EXPECT((fcntl(fd, F_GETFL) & O_DIRECT) != 0);
  uint8_t *window = address;
  EXPECT_WINDOWS(window, 4, 2);
  EXPECT(xive_trap_access_count() == count + 6);
  // Whatever the environment chooses for mmap.
  uint8_t *image = mapped(NULL, PAIR, PROT_READ, MAP_SHARED, fd, offset);
  EXPECT_IMAGE(image, 4);
  close(fd);
  EXPECT_WINDOWS(window, 4, 2);
  // mmap's family works on it.
  EXPECT(mprotect(window, PAGE, PROT_READ) == 0);
  EXPECT_CLOSED(window, true);
  EXPECT(xive_trap_unmap(window, PAIR) == 0);
  EXPECT_GONE(window);
  EXPECT_WINDOW(window + PAIR, 5);
  EXPECT(munmap(window + PAIR, PAIR) == 0);
  EXPECT_GONE(window + PAIR);
  EXPECT(munmap(image, PAIR) == 0);
}

static void refusals(void) {
  int reader = open(device_path, O_RDONLY | O_CLOEXEC), ends[2];
  void *address = &reader;
  EXPECT(pipe(ends) == 0);
  EXPECT(xive_trap_map(reader, 0, PAGE, PROT_READ | PROT_WRITE, &address) == -EACCES);
  EXPECT(xive_trap_map(9999, 0, PAGE, PROT_READ, &address) == -EBADF);
  EXPECT(xive_trap_map(device, 1, PAGE, PROT_READ, &address) == -EINVAL);
  EXPECT(xive_trap_map(device, 0, 0, PROT_READ, &address) == -EINVAL);
  EXPECT(xive_trap_map(ends[0], 0, PAGE, PROT_READ, &address) == -ENODEV);
  EXPECT(xive_trap_unmap((void *)1, PAGE) == -EINVAL);
  EXPECT(address == &reader);
  close(reader);
}

int main(int count, char **values) {
  if (count != 2) return 64;
  open_device(values[1]);
  catch_faults();
  windows();
  refusals();
  EXPECT(strcmp(xive_trap_version(), XIVE_TRAP_VERSION) == 0);
  printf("version %s\n", xive_trap_version());
  return conclude();
}
