// A guest of several vCPUs through plain pointers: each is a thread with a trapped window on its own TIMA.
//
//     vcpus PATH
//
// PATH is a device of 64 sources, all created, 4 servers and 4 KiB pages; it is changed. Prints a line for each
// expectation that is not met, and exits 1 if there was one.
#define _GNU_SOURCE
#include <endian.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "expect.h"

enum { PAGE = 4096, QUEUE = 65536, VCPUS = 4, SOURCES_EACH = 12, PRIORITY = 6, ROUNDS = 60 };

static const uint64_t ram = 0x40000000;
static const char *path;
static xive_client *client;
static xive_client_memory *memory;
static volatile char *esb;  // trapped, from source 0 on

// By source: how often it was triggered, and how often its interrupt was taken.
static atomic_uint sent[VCPUS * SOURCES_EACH], taken[VCPUS * SOURCES_EACH];

struct cpu {
  pthread_t thread;
  uint32_t server;
  xive_client_vcpu *vcpu;
  xive_client_queue *queue;
  volatile uint8_t *tima;  // trapped, four views
};

static uint64_t load64(volatile void *address) { return be64toh(*(volatile uint64_t *)address); }
static uint32_t load32(volatile void *address) { return be32toh(*(volatile uint32_t *)address); }
static uint16_t load16(volatile void *address) { return be16toh(*(volatile uint16_t *)address); }

static volatile uint8_t *view(const struct cpu *cpu, uint32_t number) {
  return cpu->tima + number * PAGE;
}

static void trigger(uint32_t lisn) { *(volatile uint64_t *)(esb + lisn * 2 * PAGE) = 0; }

static uint64_t set_pq_00(uint32_t lisn) {
  return load64(esb + (lisn * 2 + 1) * PAGE + XIVE_ESB_SET_PQ_00);
}

// MARK: - Set-up

static bool open_cpu(struct cpu *cpu, uint32_t server) {
  *cpu = (struct cpu){.server = server};
  cpu->vcpu = xive_client_vcpu_connect(path, server, NULL);
  if (cpu->vcpu == NULL) return false;
  xive_client_mapping *tima = xive_client_vcpu_map_tima_trapped(cpu->vcpu, NULL);
  struct xive_eq queue = {
    .flags = KVM_XIVE_EQ_ALWAYS_NOTIFY, .qshift = 16, .qaddr = ram + server * QUEUE, .qtoggle = 1};
  cpu->queue = xive_client_queue_create(memory, server * QUEUE, 16, 1, 0, NULL);
  if (tima == NULL || cpu->queue == NULL) return false;
  cpu->tima = xive_client_mapping_address(tima);
  return xive_client_configure_queue(client, server, PRIORITY, &queue) == 0;
}

// A source's events go to the server of its number, whose queue says which source it was.
static void route(uint32_t lisn) {
  EXPECT(xive_client_configure_source(client, lisn, lisn % VCPUS, PRIORITY, 0x100 + lisn, false) == 0);
  set_pq_00(lisn);
}

// MARK: - What the views show, each thread in its own

static pthread_barrier_t together;

static void check_views(const struct cpu *cpu) {
  volatile uint8_t *os = view(cpu, XIVE_VIEW_OS), *hv = view(cpu, XIVE_VIEW_HV);
  for (uint8_t cppr = 0; cppr < 8; cppr++) {
    os[XIVE_TIMA_OS_CPPR] = (cppr + cpu->server) % 8;
    pthread_barrier_wait(&together);
    // All of them have stored: each sees its own.
    EXPECT(os[XIVE_TIMA_OS_CPPR] == (cppr + cpu->server) % 8);
    EXPECT((load64(os + XIVE_TIMA_OS_RING) >> 48 & 0xff) == (cppr + cpu->server) % 8);
    EXPECT(hv[XIVE_TIMA_OS_CPPR] == (cppr + cpu->server) % 8);
    pthread_barrier_wait(&together);
  }
  // Valid, and the server's NVT; the guest's view does not say.
  EXPECT(load32(hv + XIVE_TIMA_OS_WORD2) == (0x80000400 | cpu->server));
  EXPECT(load32(os + XIVE_TIMA_OS_WORD2) == UINT32_MAX);
  EXPECT(load64(view(cpu, XIVE_VIEW_USER) + XIVE_TIMA_OS_RING) == UINT64_MAX);
  // Sizes that the table has not: all ones, and dropped.
  EXPECT(load32(os + XIVE_TIMA_ACK_OS) == UINT32_MAX && load64(os + XIVE_TIMA_ACK_OS) == UINT64_MAX);
  EXPECT(os[XIVE_TIMA_ACK_OS] == 0xff);
  *(volatile uint16_t *)(os + XIVE_TIMA_SET_OS_PENDING) = 0;
  EXPECT(load16(os + XIVE_TIMA_ACK_OS) == (cpu->server + 7) % 8);
  // Made pending on this one alone: acknowledged once, here.
  os[XIVE_TIMA_OS_CPPR] = 0xff;
  if (cpu->server == 2) os[XIVE_TIMA_SET_OS_PENDING] = 3;
  pthread_barrier_wait(&together);
  EXPECT(load16(os + XIVE_TIMA_ACK_OS) == (cpu->server == 2 ? 0x8003 : 0x00ff));
  EXPECT(load16(os + XIVE_TIMA_ACK_OS) == (cpu->server == 2 ? 0x0003 : 0x00ff));
  os[XIVE_TIMA_OS_CPPR] = 0xff;
}

// MARK: - A guest's loop

// All of this server's sources have been taken as often as they will be sent.
static bool is_done(const struct cpu *cpu) {
  for (uint32_t lisn = cpu->server; lisn < VCPUS * SOURCES_EACH; lisn += VCPUS)
    if (taken[lisn] < ROUNDS) return false;
  return true;
}

// Sends to the next server what that has taken: an event that is still there would coalesce.
static void send_some(const struct cpu *cpu) {
  for (uint32_t lisn = (cpu->server + 1) % VCPUS; lisn < VCPUS * SOURCES_EACH; lisn += VCPUS) {
    if (sent[lisn] == ROUNDS || sent[lisn] != taken[lisn]) continue;
    sent[lisn]++;
    trigger(lisn);
  }
}

static void take_interrupt(const struct cpu *cpu) {
  volatile uint8_t *os = view(cpu, XIVE_VIEW_OS);
  uint32_t eisn;
  if (load16(os + XIVE_TIMA_ACK_OS) >> 8 == 0) return;
  while (xive_client_queue_next(cpu->queue, &eisn)) {
    uint32_t lisn = eisn - 0x100;
    EXPECT(lisn < VCPUS * SOURCES_EACH && lisn % VCPUS == cpu->server);
    EXPECT(set_pq_00(lisn) == XIVE_PQ_PENDING);
    taken[lisn]++;
  }
  os[XIVE_TIMA_OS_CPPR] = 0xff;
}

static void *run(void *argument) {
  struct cpu *cpu = argument;
  check_views(cpu);
  pthread_barrier_wait(&together);
  bool all_sent = false;
  while (!is_done(cpu) || !all_sent) {
    send_some(cpu);
    if (xive_client_vcpu_wait(cpu->vcpu, 1)) take_interrupt(cpu);
    all_sent = true;
    for (uint32_t lisn = (cpu->server + 1) % VCPUS; lisn < VCPUS * SOURCES_EACH; lisn += VCPUS)
      all_sent = all_sent && sent[lisn] == ROUNDS;
  }
  // Entries are seen before the vCPU hears of them: what was taken already may still be announced.
  pthread_barrier_wait(&together);
  take_interrupt(cpu);
  // Nothing is left, and nothing that was another's.
  EXPECT(load16(view(cpu, XIVE_VIEW_OS) + XIVE_TIMA_ACK_OS) == 0x00ff);
  uint32_t eisn;
  EXPECT(!xive_client_queue_next(cpu->queue, &eisn));
  return NULL;
}

int main(int count, char **values) {
  if (count != 2) return 64;
  setvbuf(stdout, NULL, _IONBF, 0);
  path = values[1];
  client = xive_client_open(path, true, NULL);
  if (client == NULL) return 1;
  memory = xive_client_memory_create(VCPUS * QUEUE, NULL);
  EXPECT(xive_client_add_memory(client, 0, ram, memory, 0, VCPUS * QUEUE) == 0);
  xive_client_mapping *pages = xive_client_map_kernel_window_trapped(client, 4, 2 * 64, NULL);
  if (pages == NULL) return 1;
  esb = xive_client_mapping_address(pages);
  static struct cpu cpus[VCPUS];
  for (uint32_t server = 0; server < VCPUS; server++)
    if (!open_cpu(&cpus[server], server)) return 1;
  for (uint32_t lisn = 0; lisn < VCPUS * SOURCES_EACH; lisn++) route(lisn);
  struct xive_info_delivery before, after;
  EXPECT(xive_client_delivery(client, &before) == 0);
  pthread_barrier_init(&together, NULL, VCPUS);
  for (uint32_t server = 0; server < VCPUS; server++)
    EXPECT(pthread_create(&cpus[server].thread, NULL, run, &cpus[server]) == 0);
  for (uint32_t server = 0; server < VCPUS; server++) pthread_join(cpus[server].thread, NULL);
  EXPECT(xive_client_delivery(client, &after) == 0);
  EXPECT(after.entries - before.entries == VCPUS * SOURCES_EACH * ROUNDS);
  for (uint32_t lisn = 0; lisn < VCPUS * SOURCES_EACH; lisn++) EXPECT(taken[lisn] == ROUNDS);
  xive_client_unmap(pages);
  return conclude();
}
