// Every function of xive_client.h for irqfds, lines and messages, and every refusal.
//
//     injection PATH
//
// PATH is a device of 64 sources, of which 0 to 31 are created, with PHB 2 of 8 messages; it is changed. Prints a
// line for each expectation that is not met, and exits 1 if there was one.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "expect.h"

enum { MESSAGE = 3, LEVEL = 4, UNTOUCHED = 77, PATIENCE = 30000 };

// The server's thread takes its time.
static bool becomes(const xive_client *client, uint32_t lisn, uint64_t expected) {
  uint64_t pq = 0;
  for (int tries = 0; tries < PATIENCE; tries++) {
    if (xive_client_pq(client, lisn, &pq) != 0) return false;
    if (pq == expected) return true;
    usleep(1000);
  }
  return false;
}

static bool is_raised(int fd, int milliseconds) {
  struct pollfd one = {.fd = fd, .events = POLLIN};
  return poll(&one, 1, milliseconds) == 1;
}

static uint64_t assigned(const xive_client *client) {
  struct xive_info_injection info;
  EXPECT(xive_client_injection(client, &info) == 0);
  return info.irqfds;
}

static int descriptors(void) {
  int count = 0;
  DIR *directory = opendir("/proc/self/fd");
  while (readdir(directory) != NULL) count++;
  closedir(directory);
  return count;
}

static void check_edge(const xive_client *client) {
  int fd = eventfd(1, EFD_NONBLOCK);
  int before = descriptors();
  EXPECT(xive_client_set_pq(client, MESSAGE, XIVE_PQ_RESET, NULL) == 0);
  xive_client_irqfd *irqfd = xive_client_irqfd_assign(client, MESSAGE, fd, NULL);
  EXPECT(irqfd != NULL && assigned(client) == 1);
  EXPECT(becomes(client, MESSAGE, XIVE_PQ_PENDING));
  eventfd_write(fd, 1);
  EXPECT(becomes(client, MESSAGE, XIVE_PQ_QUEUED));
  int error = UNTOUCHED;
  EXPECT(xive_client_irqfd_assign(client, 5, fd, &error) == NULL);
  EXPECT_REFUSED(error, EBUSY, "LISN 0x5");
  xive_client_irqfd_deassign(irqfd);
  xive_client_irqfd_deassign(NULL);
  EXPECT(assigned(client) == 0 && descriptors() == before);
  EXPECT(xive_client_set_pq(client, MESSAGE, XIVE_PQ_RESET, NULL) == 0);
  eventfd_write(fd, 1);
  uint64_t pq = 0;
  EXPECT(xive_client_pq(client, MESSAGE, &pq) == 0 && pq == XIVE_PQ_RESET);
  EXPECT(is_raised(fd, 0));
  close(fd);
}

static void check_level(const xive_client *client) {
  int fd = eventfd(0, EFD_NONBLOCK), resample = eventfd(0, EFD_NONBLOCK);
  int ends = eventfd(0, EFD_NONBLOCK);
  eventfd_t value;
  EXPECT(xive_client_create_source(client, LEVEL, KVM_XIVE_LEVEL_SENSITIVE) == 0);
  EXPECT(xive_client_set_pq(client, LEVEL, XIVE_PQ_RESET, NULL) == 0);
  xive_client_irqfd *irqfd = xive_client_irqfd_assign_level(client, LEVEL, fd, resample, NULL);
  xive_client_irqfd *listener = xive_client_irqfd_notify_ends(client, LEVEL, ends, NULL);
  EXPECT(irqfd != NULL && listener != NULL && assigned(client) == 2);
  eventfd_write(fd, 1);
  EXPECT(becomes(client, LEVEL, XIVE_PQ_PENDING));
  EXPECT(!is_raised(resample, 0) && !is_raised(ends, 0));
  EXPECT(xive_client_end_of_interrupt(client, LEVEL, NULL) == 0);
  EXPECT(is_raised(resample, PATIENCE) && is_raised(ends, PATIENCE));
  EXPECT(eventfd_read(resample, &value) == 0 && eventfd_read(ends, &value) == 0);
  EXPECT(becomes(client, LEVEL, XIVE_PQ_RESET));
  xive_client_irqfd_deassign(irqfd);
  EXPECT(assigned(client) == 1);

  bool delivered = false;
  EXPECT(xive_client_set_line(client, LEVEL, true, &delivered) == 0 && delivered);
  EXPECT(xive_client_set_line(client, LEVEL, false, &delivered) == 0 && !delivered);
  EXPECT(xive_client_end_of_interrupt(client, LEVEL, NULL) == 0);
  EXPECT(is_raised(ends, PATIENCE) && !is_raised(resample, 0));
  xive_client_irqfd_deassign(listener);
  EXPECT(assigned(client) == 0);
  close(fd);
  close(resample);
  close(ends);
}

static void check_refusals(const xive_client *client, const char *path) {
  int fd = eventfd(0, EFD_NONBLOCK), resample = eventfd(0, EFD_NONBLOCK);
  int memory = memfd_create("no eventfd", MFD_CLOEXEC);
  int before = descriptors();
  int error = UNTOUCHED;
  EXPECT(xive_client_irqfd_assign(client, LEVEL, fd, NULL) == NULL);
  EXPECT(xive_client_irqfd_assign(client, LEVEL, fd, &error) == NULL);
  EXPECT_REFUSED(error, EINVAL, "LISN 0x4: level-sensitive: assign it with a resample eventfd");
  EXPECT(xive_client_irqfd_assign_level(client, MESSAGE, fd, resample, &error) == NULL);
  EXPECT_REFUSED(error, EINVAL, "LISN 0x3: sends messages");
  EXPECT(xive_client_irqfd_notify_ends(client, MESSAGE, resample, &error) == NULL);
  EXPECT_REFUSED(error, EINVAL, "LISN 0x3: sends messages");
  EXPECT(xive_client_irqfd_assign(client, 40, fd, &error) == NULL);
  EXPECT_REFUSED(error, EINVAL, "LISN 0x28: was never created");
  EXPECT(xive_client_irqfd_assign(client, 64, fd, &error) == NULL);
  EXPECT_REFUSED(error, E2BIG, "LISN 0x40");
  EXPECT(xive_client_irqfd_assign(client, MESSAGE, memory, &error) == NULL);
  EXPECT_REFUSED(error, EINVAL, "no eventfd");
  EXPECT(xive_client_irqfd_assign_level(client, LEVEL, fd, memory, &error) == NULL);
  EXPECT_REFUSED(error, EINVAL, "no eventfd");
  EXPECT(xive_client_irqfd_assign(client, MESSAGE, -1, &error) == NULL);
  EXPECT_REFUSED(error, EBADF, "LISN 0x3");
  EXPECT(xive_client_irqfd_assign_level(client, LEVEL, -1, resample, &error) == NULL);
  EXPECT_REFUSED(error, EBADF, "LISN 0x4");
  EXPECT(xive_client_irqfd_notify_ends(client, LEVEL, -1, &error) == NULL);
  EXPECT_REFUSED(error, EBADF, "LISN 0x4");

  xive_client *reader = xive_client_open(path, false, NULL);
  EXPECT(xive_client_irqfd_assign(reader, MESSAGE, fd, &error) == NULL);
  EXPECT_REFUSED(error, EBADF, "LISN 0x3");
  EXPECT_REFUSED(xive_client_set_line(reader, MESSAGE, true, NULL), EBADF, "request");
  struct xive_msi msi = {.address = 0x1000, .count = 1};
  EXPECT_REFUSED(xive_client_add_msi(reader, 1, &msi), EBADF, "request");
  EXPECT_REFUSED(xive_client_remove_msi(reader, 1, 0x1000, 0), EBADF, "request");
  EXPECT_REFUSED(xive_client_signal_msi(reader, 1, 0x1000, 0, NULL), EBADF, "request");
  xive_client_close(reader);
  EXPECT(assigned(client) == 0 && descriptors() == before);
  close(fd);
  close(resample);
  close(memory);
}

static void check_lines(const xive_client *client) {
  bool delivered = false;
  EXPECT(xive_client_set_pq(client, 6, XIVE_PQ_RESET, NULL) == 0);
  EXPECT(xive_client_set_line(client, 6, true, &delivered) == 0 && delivered);
  EXPECT(xive_client_set_line(client, 6, true, &delivered) == 0 && !delivered);
  EXPECT(xive_client_set_line(client, 6, false, NULL) == 0);
  EXPECT(becomes(client, 6, XIVE_PQ_QUEUED));
  EXPECT_REFUSED(xive_client_set_line(client, 40, true, NULL), EINVAL, "LISN 0x28");
  EXPECT_REFUSED(xive_client_set_line(client, 64, true, NULL), E2BIG, "LISN 0x40");
  struct xive_passthrough run = {.phb = 2, .first_hwirq = 5, .count = 1};
  EXPECT(xive_client_map_passthrough(client, 7, &run) == 0);
  EXPECT_REFUSED(xive_client_set_line(client, 7, true, NULL), EINVAL, "PHB 2, interrupt 5");
}

static void check_messages(const xive_client *client) {
  struct xive_msi msi = {
    .address = 0x1000000000000040, .first_data = 0x20, .count = 4, .first_lisn = 8,
  };
  struct xive_msi_route route;
  bool delivered = true;
  EXPECT(xive_client_add_msi(client, 0x100, &msi) == 0);
  EXPECT_REFUSED(xive_client_add_msi(client, 0x100, &msi), EEXIST, "requester 0x100");
  msi.count = 0;
  EXPECT_REFUSED(xive_client_add_msi(client, 0x100, &msi), EINVAL, "at least one");
  msi.count = 4;
  msi.zero = 1;
  EXPECT_REFUSED(xive_client_add_msi(client, 0x101, &msi), EINVAL, "zero: 1");
  msi.zero = 0;
  msi.first_lisn = 30;
  EXPECT_REFUSED(xive_client_add_msi(client, 0x101, &msi), EINVAL, "never created");
  msi.first_lisn = 62;
  EXPECT_REFUSED(xive_client_add_msi(client, 0x101, &msi), E2BIG, "64 sources");
  EXPECT(xive_client_msi_route(client, 0x100, msi.address, 0x22, &route) == 0);
  EXPECT(route.lisn == 10 && route.priority == 0xff && route.server == 0 && route.eisn == 0);
  EXPECT(xive_client_signal_msi(client, 0x100, msi.address, 0x22, &delivered) == 0 && !delivered);

  xive_client_memory *memory = xive_client_memory_create(65536, NULL);
  EXPECT(xive_client_add_memory(client, 0, 0, memory, 0, 65536) == 0);
  xive_client_memory_destroy(memory);
  struct xive_eq eq = {.flags = KVM_XIVE_EQ_ALWAYS_NOTIFY, .qshift = 16, .qtoggle = 1};
  EXPECT(xive_client_configure_queue(client, 0, 5, &eq) == 0);
  EXPECT(xive_client_configure_source(client, 10, 0, 5, 0x77, false) == 0);
  EXPECT(xive_client_set_pq(client, 10, XIVE_PQ_RESET, NULL) == 0);
  EXPECT(xive_client_msi_route(client, 0x100, msi.address, 0x22, &route) == 0);
  EXPECT(route.lisn == 10 && route.priority == 5 && route.server == 0 && route.eisn == 0x77);
  EXPECT(xive_client_signal_msi(client, 0x100, msi.address, 0x22, &delivered) == 0 && delivered);
  EXPECT(xive_client_signal_msi(client, 0x100, msi.address, 0x22, NULL) == 0);
  EXPECT(xive_client_queue_config(client, 0, 5, &eq) == 0 && eq.qindex == 1);

  EXPECT_REFUSED(xive_client_remove_msi(client, 0x100, msi.address, 0x22), ENOENT, "0x22 at 0x");
  EXPECT(xive_client_remove_msi(client, 0x100, msi.address, 0x20) == 0);
  EXPECT_REFUSED(
    xive_client_msi_route(client, 0x100, msi.address, 0x22, &route), ENOENT, "nothing takes it");
  EXPECT_REFUSED(
    xive_client_signal_msi(client, 0x100, msi.address, 0x22, NULL), ENOENT, "nothing takes it");
}

int main(int count, char **values) {
  if (count != 2) return 64;
  // What has failed is seen even if the waits after it take too long together.
  setvbuf(stdout, NULL, _IOLBF, 0);
  xive_client *client = xive_client_open(values[1], true, NULL);
  xive_client_vcpu *vcpu = xive_client_vcpu_connect(values[1], 0, NULL);
  if (client == NULL || vcpu == NULL) return 1;
  check_lines(client);
  check_messages(client);
  check_edge(client);
  check_level(client);
  check_refusals(client, values[1]);
  struct xive_info_injection info;
  EXPECT(xive_client_injection(client, &info) == 0);
  EXPECT(info.lines == 6 && info.messages == 3 && info.refused == 1);
  EXPECT(info.injected == 3 && info.resampled == 3 && info.irqfds == 0);
  xive_client_vcpu_disconnect(vcpu);
  xive_client_close(client);
  return conclude();
}
