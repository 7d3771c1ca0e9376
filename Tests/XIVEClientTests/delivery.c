// Every function of xive_client.h for guest memory, queues, routes and vCPUs, and every refusal.
//
//     delivery PATH
//
// PATH is a device of 32 sources, all created, 4 servers and 4 KiB pages; it is changed. Prints a line for
// each expectation that is not met, and exits 1 if there was one.
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "expect.h"

enum { PAGE = 4096, QUEUE = 65536, SOURCES = 32, SERVERS = 4, UNTOUCHED = 77 };

static const uint64_t ram = 0x40000000;

static uint32_t next(const xive_client_queue *queue) {
  uint32_t eisn = UNTOUCHED;
  return xive_client_queue_next(queue, &eisn) ? eisn : UINT32_MAX;
}

static void check_memory(void) {
  int error = UNTOUCHED;
  EXPECT(xive_client_memory_create(0, &error) == NULL);
  EXPECT_REFUSED(error, EINVAL, "0 bytes");
  EXPECT(xive_client_memory_map(-1, 0, PAGE, &error) == NULL);
  EXPECT_REFUSED(error, EBADF, "4096 bytes");
  error = UNTOUCHED;
  int fd = memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  EXPECT(fd >= 0 && ftruncate(fd, 3 * PAGE) == 0);
  xive_client_memory *memory = xive_client_memory_map(fd, PAGE, 2 * PAGE, &error);
  EXPECT(memory != NULL && error == UNTOUCHED);
  memset(xive_client_memory_address(memory), 5, 2 * PAGE);
  char byte = 0;
  EXPECT(pread(fd, &byte, 1, PAGE - 1) == 1 && byte == 0);
  EXPECT(pread(fd, &byte, 1, 3 * PAGE - 1) == 1 && byte == 5);
  xive_client_memory_destroy(memory);
  xive_client_memory_destroy(NULL);
  EXPECT(fcntl(fd, F_GETFD) >= 0);
  close(fd);
}

// The consumer's end, on entries that this program writes.
static void check_queue(void) {
  xive_client_memory *memory = xive_client_memory_create(2 * PAGE, NULL);
  int error = UNTOUCHED;
  EXPECT(xive_client_queue_create(memory, 0, 16, 1, 0, &error) == NULL);
  EXPECT_REFUSED(error, EINVAL, "65536 bytes");
  EXPECT(xive_client_queue_create(memory, UINT64_MAX, 12, 1, 0, &error) == NULL);
  EXPECT_REFUSED(error, EINVAL, "guest memory");
  EXPECT(xive_client_queue_create(memory, 0, 64, 1, 0, &error) == NULL);
  EXPECT_REFUSED(error, EINVAL, "guest memory");
  EXPECT(xive_client_queue_create(memory, 0, 12, 2, 0, &error) == NULL);
  EXPECT_REFUSED(error, EINVAL, "toggle: 2");
  EXPECT(xive_client_queue_create(memory, 0, 12, 1, 1024, &error) == NULL);
  EXPECT_REFUSED(error, EINVAL, "index: 1024");
  xive_client_queue *queue = xive_client_queue_create(memory, PAGE, 12, 0, 1023, NULL);
  uint32_t *entries = (uint32_t *)((char *)xive_client_memory_address(memory) + PAGE);
  // The queue keeps the memory.
  xive_client_memory_destroy(memory);
  uint32_t toggle = UNTOUCHED, index = UNTOUCHED;
  xive_client_queue_position(queue, &toggle, &index);
  EXPECT(toggle == 0 && index == 1023);
  xive_client_queue_clear(queue);
  EXPECT(next(queue) == UINT32_MAX);
  entries[1023] = htobe32(0x7fffffff);
  entries[0] = htobe32(0x80000001);
  EXPECT(next(queue) == 0x7fffffff);
  EXPECT(next(queue) == 1);
  EXPECT(next(queue) == UINT32_MAX);
  xive_client_queue_position(queue, &toggle, &index);
  EXPECT(toggle == 1 && index == 1);
  xive_client_queue_destroy(queue);
  xive_client_queue_destroy(NULL);
}

static struct xive_eq eq(uint64_t address) {
  return (struct xive_eq){
    .flags = KVM_XIVE_EQ_ALWAYS_NOTIFY, .qshift = 16, .qaddr = address, .qtoggle = 1};
}

static void check_slots(const xive_client *client, const xive_client_memory *memory) {
  EXPECT_REFUSED(xive_client_add_memory(client, 32, ram, memory, 0, QUEUE), ENXIO, "slot 32");
  EXPECT_REFUSED(xive_client_add_memory(client, 1, ram, memory, 0, 0), EINVAL, "slot 1");
  EXPECT_REFUSED(xive_client_add_memory(client, 1, ram, memory, QUEUE, 2 * QUEUE), EINVAL, "slot 1");
  EXPECT_REFUSED(xive_client_remove_memory(client, 32), ENXIO, "slot 32");
  EXPECT_REFUSED(xive_client_remove_memory(client, 1), ENOENT, "empty");
  int fd = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  EXPECT(ftruncate(fd, QUEUE) == 0);
  xive_client_memory *unsealed = xive_client_memory_map(fd, 0, QUEUE, NULL);
  EXPECT_REFUSED(xive_client_add_memory(client, 1, ram, unsealed, 0, QUEUE), EINVAL, "sealed");
  xive_client_memory_destroy(unsealed);
  close(fd);
}

static void check_queue_refusals(const xive_client *client) {
  struct xive_eq queue = eq(ram);
  EXPECT_REFUSED(xive_client_configure_queue(client, 1, 6, &queue), ENOENT, "server 1");
  EXPECT_REFUSED(xive_client_configure_queue(client, SERVERS, 6, &queue), EINVAL, "server 4");
  EXPECT_REFUSED(xive_client_configure_queue(client, 0, 7, &queue), EINVAL, "priority 7");
  EXPECT_REFUSED(xive_client_configure_queue(client, 0, 256 + 6, &queue), EINVAL, "priority: 262");
  EXPECT_REFUSED(xive_client_queue_config(client, 1, 6, &queue), ENOENT, "server 1");
  queue = eq(ram + PAGE);
  EXPECT_REFUSED(xive_client_configure_queue(client, 0, 6, &queue), EINVAL, "0x40001000");
  queue = eq(0);
  EXPECT_REFUSED(xive_client_configure_queue(client, 0, 6, &queue), EINVAL, "memory slot");
  queue = eq(ram);
  queue.flags = 0;
  EXPECT_REFUSED(xive_client_configure_queue(client, 0, 6, &queue), EINVAL, "notify always");
  EXPECT_REFUSED(xive_client_configure_source(client, 3, 0, 5, 3, false), EBUSY, "priority 5");
  EXPECT_REFUSED(xive_client_configure_source(client, 3, 0, 7, 3, false), EINVAL, "priority 7");
  EXPECT_REFUSED(xive_client_configure_source(client, 3, 1, 6, 3, false), EINVAL, "server 1");
  EXPECT_REFUSED(xive_client_configure_source(client, 3, 0, 6, 1u << 31, false), EINVAL, "eisn");
  EXPECT_REFUSED(xive_client_configure_source(client, SOURCES, 0, 6, 3, false), E2BIG, "0x20");
  EXPECT_REFUSED(xive_client_sync_source(client, SOURCES), E2BIG, "0x20");
}

// Acknowledge: NSR << 8 | CPPR.
static int acknowledge(const xive_client_vcpu *vcpu) {
  uint8_t nsr = 0, cppr = 0;
  int result = xive_client_vcpu_acknowledge(vcpu, &nsr, &cppr);
  return result < 0 ? result : nsr << 8 | cppr;
}

static uint64_t ring_of(const xive_client_vcpu *vcpu) {
  uint64_t ring = 0;
  EXPECT(xive_client_vcpu_ring(vcpu, &ring) == 0);
  return ring;
}

// An epoll of the program's own wakes at each edge, and once for it.
static void check_edges(const xive_client *client, const xive_client_vcpu *vcpu) {
  int waiter = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN | EPOLLET};
  EXPECT(xive_client_vcpu_set_cppr(vcpu, 0xff) == 0);
  EXPECT(epoll_ctl(waiter, EPOLL_CTL_ADD, xive_client_vcpu_fd(vcpu), &event) == 0);
  EXPECT(epoll_wait(waiter, &event, 1, 0) == 0);
  for (int i = 0; i < 3; i++) {
    EXPECT(xive_client_trigger(client, 3) == 0);
    EXPECT(epoll_wait(waiter, &event, 1, 10000) == 1 && event.events & EPOLLIN);
    EXPECT(epoll_wait(waiter, &event, 1, 0) == 0);
    EXPECT(acknowledge(vcpu) == 0x8006);
    EXPECT(xive_client_vcpu_end_of_interrupt(vcpu, 3, NULL) == 0);
    EXPECT(xive_client_vcpu_set_cppr(vcpu, 0xff) == 0);
  }
  close(waiter);
}

static void check_interrupts(
  const xive_client *client, const xive_client_vcpu *vcpu, const xive_client_queue *queue
) {
  uint8_t cppr = UNTOUCHED;
  bool again = true;
  EXPECT(xive_client_configure_source(client, 3, 0, 6, 0x112, false) == 0);
  EXPECT(xive_client_set_pq(client, 3, XIVE_PQ_RESET, NULL) == 0);
  EXPECT(xive_client_vcpu_cppr(vcpu, &cppr) == 0 && cppr == 0);
  EXPECT(xive_client_vcpu_set_cppr(vcpu, 0xff) == 0);
  EXPECT(xive_client_vcpu_cppr(vcpu, &cppr) == 0 && cppr == 0xff);
  EXPECT(!xive_client_vcpu_wait(vcpu, 0));
  EXPECT(acknowledge(vcpu) == 0xff);
  EXPECT(xive_client_trigger(client, 3) == 0);
  EXPECT(xive_client_sync_source(client, 3) == 0);
  EXPECT(xive_client_sync_queues(client) == 0);
  EXPECT(xive_client_vcpu_wait(vcpu, 10000));
  struct pollfd polled = {.fd = xive_client_vcpu_fd(vcpu), .events = POLLIN};
  EXPECT(poll(&polled, 1, 0) == 1 && polled.revents & POLLIN);
  EXPECT(ring_of(vcpu) >> 40 == 0x80ff02 && (ring_of(vcpu) & 0xff) == 6);
  EXPECT(acknowledge(vcpu) == 0x8006);
  EXPECT(next(queue) == 0x112 && next(queue) == UINT32_MAX);
  EXPECT(xive_client_trigger(client, 3) == 0);
  EXPECT(xive_client_vcpu_end_of_interrupt(vcpu, 3, &again) == 0 && again);
  EXPECT(next(queue) == 0x112 && next(queue) == UINT32_MAX);
  EXPECT(xive_client_vcpu_end_of_interrupt(vcpu, 3, &again) == 0 && !again);
  EXPECT(xive_client_vcpu_end_of_interrupt(vcpu, 3, NULL) == 0);
  EXPECT_REFUSED(xive_client_vcpu_end_of_interrupt(vcpu, SOURCES, &again), E2BIG, "0x20");
  EXPECT(xive_client_vcpu_end_of_level_interrupt(vcpu, 3, &again) == 0 && !again);
  EXPECT(xive_client_vcpu_end_of_level_interrupt(vcpu, 3, NULL) == 0);
  EXPECT_REFUSED(xive_client_vcpu_end_of_level_interrupt(vcpu, SOURCES, NULL), E2BIG, "0x20");
  EXPECT_REFUSED(xive_client_vcpu_set_pending(vcpu, 8), EINVAL, "priority: 8");
  EXPECT(xive_client_vcpu_set_pending(vcpu, 2) == 0);
  EXPECT(acknowledge(vcpu) == 0x8002);
  // What was triggered again has waited since.
  EXPECT(xive_client_vcpu_set_cppr(vcpu, 0xff) == 0);
  EXPECT(acknowledge(vcpu) == 0x8006);
  check_edges(client, vcpu);
  EXPECT(xive_client_configure_source(client, 3, 0, 6, 0x112, true) == 0);
}

static void check_sizes(const xive_client *client) {
  uint64_t page = xive_tima_offset(0, XIVE_VIEW_OS, PAGE), value = UNTOUCHED;
  EXPECT(xive_client_store_size(client, page + XIVE_TIMA_OS_CPPR, 1, 5) == 0);
  EXPECT(xive_client_load_size(client, page + XIVE_TIMA_OS_CPPR, 1, &value) == 0 && value == 5);
  EXPECT(xive_client_load_size(client, page + XIVE_TIMA_ACK_OS, 4, &value) == 0);
  EXPECT(value == 0xffffffff);
  EXPECT_REFUSED(xive_client_load_size(client, page + 0x10, 0, &value), EINVAL, "size: 0");
  EXPECT_REFUSED(xive_client_load_size(client, page + 0x10, 9, &value), EINVAL, "size: 9");
  EXPECT_REFUSED(xive_client_store_size(client, page + 0x10, 16, 0), EINVAL, "size: 16");
  EXPECT_REFUSED(xive_client_load_size(client, page + 0x10, 3, &value), EINVAL, "3 bytes");
  EXPECT_REFUSED(xive_client_store_size(client, page + 0x10, 3, 0), EINVAL, "3 bytes");
  struct xive_info_guest_errors errors;
  EXPECT(xive_client_guest_errors(client, &errors) == 0 && errors.tima_access == 1);
}

static void check_contexts(const xive_client *client) {
  uint64_t ring = 0;
  bool pushed = false;
  EXPECT(xive_client_context(client, 0, &ring, &pushed) == 0 && pushed);
  EXPECT(xive_client_pull_context(client, 0, &pushed) == 0 && pushed);
  EXPECT(xive_client_context(client, 0, &ring, &pushed) == 0 && !pushed);
  EXPECT(xive_client_pull_context(client, 0, &pushed) == 0 && !pushed);
  EXPECT(xive_client_pull_context(client, 0, NULL) == 0);
  EXPECT(xive_client_push_context(client, 0) == 0);
  EXPECT(xive_client_context(client, 0, &ring, &pushed) == 0 && pushed);
  EXPECT_REFUSED(xive_client_context(client, 1, &ring, &pushed), ENOENT, "server 1");
  EXPECT_REFUSED(xive_client_pull_context(client, 1, NULL), ENOENT, "server 1");
  EXPECT_REFUSED(xive_client_context(client, SERVERS, &ring, &pushed), EINVAL, "server 4");
  EXPECT_REFUSED(xive_client_pull_context(client, SERVERS, NULL), EINVAL, "server 4");
  EXPECT_REFUSED(xive_client_push_context(client, SERVERS), EINVAL, "server 4");
}

// The guest's whole work through pointers: trigger, acknowledge, queue, end of interrupt, priority.
static void check_pointers(
  const xive_client *client, const xive_client_vcpu *vcpu, const xive_client_memory *memory
) {
  int error = UNTOUCHED;
  xive_client_mapping *tima = xive_client_vcpu_map_tima_trapped(vcpu, &error);
  xive_client_mapping *source = xive_client_map_source_trapped(client, 4, &error);
  // Where check_ends() has left the END.
  xive_client_queue *queue = xive_client_queue_create(memory, 0, 16, 1, 9, NULL);
  EXPECT(tima != NULL && source != NULL && error == UNTOUCHED);
  if (tima == NULL || source == NULL) return;
  volatile uint8_t *view = (uint8_t *)xive_client_mapping_address(tima) + XIVE_VIEW_OS * PAGE;
  volatile uint64_t *trigger = xive_client_mapping_address(source);
  volatile uint64_t *set_pq_00 = trigger + (PAGE + XIVE_ESB_SET_PQ_00) / 8;
  EXPECT(xive_client_configure_source(client, 4, 0, 6, 0x114, false) == 0);
  EXPECT(be64toh(*set_pq_00) == XIVE_PQ_OFF);
  view[XIVE_TIMA_OS_CPPR] = 0xff;
  EXPECT(view[XIVE_TIMA_OS_CPPR] == 0xff);
  *trigger = 0;
  EXPECT(xive_client_vcpu_wait(vcpu, 10000));
  EXPECT(be16toh(*(volatile uint16_t *)(view + XIVE_TIMA_ACK_OS)) == 0x8006);
  EXPECT(next(queue) == 0x114 && next(queue) == UINT32_MAX);
  EXPECT(view[XIVE_TIMA_OS_CPPR] == 6);
  *trigger = 0;
  EXPECT(be64toh(*set_pq_00) == XIVE_PQ_QUEUED);
  *trigger = 0;
  EXPECT(next(queue) == 0x114);
  EXPECT(be64toh(*set_pq_00) == XIVE_PQ_PENDING);
  view[XIVE_TIMA_OS_CPPR] = 0xff;
  EXPECT(be64toh(*(volatile uint64_t *)(view + XIVE_TIMA_OS_RING)) == ring_of(vcpu));
  EXPECT(be16toh(*(volatile uint16_t *)(view + XIVE_TIMA_ACK_OS)) == 0x8006);
  view[XIVE_TIMA_OS_CPPR] = 0xff;
  // What the table of the page has not.
  EXPECT(*(volatile uint32_t *)(view + XIVE_TIMA_ACK_OS) == UINT32_MAX);
  EXPECT(xive_client_configure_source(client, 4, 0, 6, 0x114, true) == 0);
  xive_client_queue_destroy(queue);
  xive_client_unmap(source);
  xive_client_unmap(tima);
}

// The mapping is the vCPU's connection as well.
static void check_pointer_keeps(const char *path) {
  int error = UNTOUCHED;
  xive_client_vcpu *vcpu = xive_client_vcpu_connect(path, 2, NULL);
  EXPECT(vcpu != NULL);
  xive_client_mapping *tima = xive_client_vcpu_map_tima_trapped(vcpu, NULL);
  xive_client_vcpu_disconnect(vcpu);
  volatile uint8_t *view = (uint8_t *)xive_client_mapping_address(tima) + XIVE_VIEW_OS * PAGE;
  view[XIVE_TIMA_OS_CPPR] = 4;
  EXPECT(view[XIVE_TIMA_OS_CPPR] == 4);
  EXPECT(xive_client_vcpu_connect(path, 2, &error) == NULL);
  EXPECT_REFUSED(error, EEXIST, "server 2");
  xive_client_unmap(tima);
  // The device hears of it a moment later.
  for (int tries = 0; (vcpu = xive_client_vcpu_connect(path, 2, NULL)) == NULL && tries < 5000; tries++)
    usleep(1000);
  EXPECT(vcpu != NULL);
  xive_client_vcpu_disconnect(vcpu);
}

static void check_ends(const xive_client *client) {
  struct xive_end end;
  struct xive_info_delivery delivery;
  EXPECT(xive_client_delivery(client, &delivery) == 0);
  EXPECT(delivery.entries == 5 && delivery.vcpus == 1);
  EXPECT(xive_client_end(client, 6, &end) == 0);
  EXPECT(end.word[0] & XIVE_END_W0_VALID && end.word[3] == ram);
  EXPECT((end.word[1] & XIVE_END_W1_PAGE_OFF) == 5 && end.word[1] & XIVE_END_W1_GENERATION);
  end.word[1] = XIVE_END_W1_GENERATION | 9;
  EXPECT(xive_client_set_end(client, 6, &end) == 0);
  struct xive_eq queue;
  EXPECT(xive_client_queue_config(client, 0, 6, &queue) == 0);
  EXPECT(queue.qaddr == ram && queue.qshift == 16 && queue.qtoggle == 1 && queue.qindex == 9);
  EXPECT_REFUSED(xive_client_end(client, SERVERS * 8, &end), E2BIG, "END 32");
  EXPECT_REFUSED(xive_client_set_end(client, SERVERS * 8, &end), E2BIG, "END 32");
  end.word[3] = PAGE;
  EXPECT_REFUSED(xive_client_set_end(client, 6, &end), EINVAL, "aligned");
}

int main(int count, char **values) {
  if (count != 2) return 64;
  const char *path = values[1];
  int error = UNTOUCHED;
  xive_client *client = xive_client_open(path, true, NULL);
  if (client == NULL) return 1;
  check_memory();
  check_queue();
  xive_client_memory *memory = xive_client_memory_create(QUEUE, NULL);
  check_slots(client, memory);
  EXPECT(xive_client_add_memory(client, 0, ram, memory, 0, QUEUE) == 0);

  EXPECT_REFUSED(xive_client_set_server_count(client, 0), EINVAL, "0 servers");
  EXPECT(xive_client_set_server_count(client, SERVERS) == 0);
  EXPECT(xive_client_vcpu_connect(path, SERVERS, &error) == NULL);
  EXPECT_REFUSED(error, EINVAL, "server 4");
  EXPECT(xive_client_vcpu_connect("/nonexistent", 0, &error) == NULL);
  EXPECT_REFUSED(error, ENOENT, "/nonexistent");
  xive_client_vcpu *vcpu = xive_client_vcpu_connect(path, 0, NULL);
  EXPECT(vcpu != NULL);
  if (vcpu == NULL) return 1;
  EXPECT(xive_client_vcpu_connect(path, 0, &error) == NULL);
  EXPECT_REFUSED(error, EEXIST, "server 0");
  EXPECT_REFUSED(xive_client_set_server_count(client, 1), EBUSY, "1 servers");

  check_queue_refusals(client);
  struct xive_eq config = eq(ram);
  EXPECT(xive_client_configure_queue(client, 0, 6, &config) == 0);
  xive_client_queue *queue = xive_client_queue_create(memory, 0, 16, 1, 0, NULL);
  check_interrupts(client, vcpu, queue);
  check_ends(client);
  check_sizes(client);
  check_contexts(client);
  check_pointers(client, vcpu, memory);
  check_pointer_keeps(path);

  EXPECT(xive_client_reset(client) == 0);
  EXPECT(xive_client_queue_config(client, 0, 6, &config) == 0 && config.qshift == 0);
  EXPECT(xive_client_configure_queue(client, 0, 6, &(struct xive_eq){0}) == 0);
  EXPECT(xive_client_remove_memory(client, 0) == 0);
  xive_client_vcpu_disconnect(vcpu);
  xive_client_vcpu_disconnect(NULL);
  // The device hears of it a moment later.
  for (int tries = 0; (vcpu = xive_client_vcpu_connect(path, 0, &error)) == NULL && tries < 5000; tries++)
    usleep(1000);
  EXPECT(vcpu != NULL);
  xive_client_vcpu_disconnect(vcpu);
  xive_client_queue_destroy(queue);
  xive_client_memory_destroy(memory);
  xive_client_close(client);
  return conclude();
}
