// Every function of xive_client.h for a machine's set-up and its state, and every refusal.
//
//     machine PATH
//
// PATH is a device of 64 sources, of which 0 to 31 are created, 4 servers and 4 KiB pages; it is changed. Prints
// a line for each expectation that is not met, and exits 1 if there was one.
#define _GNU_SOURCE
#include <errno.h>

#include "expect.h"

enum { SOURCES = 64, SERVERS = 4, UNTOUCHED = 77 };

static uint64_t ring_of(const struct xive_vp *state) { return xive_be64_to_host(state->state[0]); }

static void check_sizes(const xive_client *client) {
  uint32_t count = 0;
  EXPECT(xive_client_source_count(client, &count) == 0 && count == SOURCES);
  EXPECT(xive_client_server_count(client, &count) == 0 && count == SERVERS);
  EXPECT_REFUSED(xive_client_set_source_count(client, 0), EINVAL, "0 sources");
  EXPECT_REFUSED(xive_client_set_source_count(client, SOURCES + 1), E2BIG, "started with 64");
  EXPECT_REFUSED(xive_client_set_source_count(client, 31), EBUSY, "31 sources");
  EXPECT(xive_client_set_source_count(client, 48) == 0);
  EXPECT(xive_client_source_count(client, &count) == 0 && count == 48);
  EXPECT_REFUSED(xive_client_set_source_count(client, 49), EBUSY, "another number");
  EXPECT_REFUSED(xive_client_create_source(client, 48, 0), E2BIG, "LISN 0x30");
  EXPECT(xive_client_set_server_count(client, 2) == 0);
  EXPECT_REFUSED(xive_client_set_server_count(client, 3), EBUSY, "another number");
  EXPECT(xive_client_server_count(client, &count) == 0 && count == 2);
}

static void check_addresses(const xive_client *client) {
  uint64_t address = UNTOUCHED;
  EXPECT_REFUSED(xive_client_address(client, XIVE_ADDRESS_TIMA, &address), ENXIO, "TIMA window");
  EXPECT_REFUSED(xive_client_address(client, 2, &address), EINVAL, "window: 2");
  EXPECT_REFUSED(xive_client_set_address(client, 2, 0), EINVAL, "window: 2");
  EXPECT(address == UNTOUCHED);
  EXPECT_REFUSED(xive_client_set_address(client, XIVE_ADDRESS_ESB, 5), EINVAL, "aligned");
  EXPECT(xive_client_set_address(client, XIVE_ADDRESS_ESB, 0x100000) == 0);
  EXPECT_REFUSED(xive_client_set_address(client, XIVE_ADDRESS_ESB, 0), EEXIST, "ESB window");
  EXPECT_REFUSED(xive_client_set_address(client, XIVE_ADDRESS_TIMA, 0xff000), EINVAL, "overlap");
  EXPECT(xive_client_set_address(client, XIVE_ADDRESS_TIMA, 0xfc000) == 0);
  EXPECT(xive_client_address(client, XIVE_ADDRESS_TIMA, &address) == 0 && address == 0xfc000);
  EXPECT(xive_client_address(client, XIVE_ADDRESS_ESB, &address) == 0 && address == 0x100000);
}

static void check_running(const xive_client *client) {
  bool running = false;
  EXPECT(xive_client_is_running(client, &running) == 0 && running);
  EXPECT(xive_client_set_running(client, false) == 0);
  EXPECT(xive_client_is_running(client, &running) == 0 && !running);
  EXPECT(xive_client_set_pq(client, 3, XIVE_PQ_RESET, NULL) == 0);
  EXPECT(xive_client_trigger(client, 3) == 0);
  struct xive_source_state state;
  EXPECT(xive_client_source_states(client, 3, 1, &state) == 0);
  EXPECT(state.flags == (XIVE_STATE_VALID | XIVE_STATE_LATCHED | XIVE_PQ_PENDING));
  EXPECT(xive_client_set_running(client, true) == 0);
  EXPECT(xive_client_is_running(client, &running) == 0 && running);
  EXPECT(xive_client_source_states(client, 3, 1, &state) == 0);
  EXPECT(state.flags == (XIVE_STATE_VALID | XIVE_PQ_PENDING));
}

static void check_states(const xive_client *client) {
  struct xive_source_state states[SOURCES + 1];
  memset(states, UNTOUCHED, sizeof states);
  EXPECT(xive_client_source_states(client, 0, 40, states) == 0);
  EXPECT(states[0].config == KVM_XIVE_SOURCE_MASKED_MASK);
  EXPECT(states[0].flags == (XIVE_STATE_VALID | XIVE_PQ_OFF));
  EXPECT(states[32].config == 0 && states[32].flags == 0);
  EXPECT(((unsigned char *)&states[40])[0] == UNTOUCHED);
  EXPECT(xive_client_source_states(client, SOURCES, 0, states) == 0);

  states[0].config = xive_source_config(1, 5, 0x1234, 0);
  states[0].flags = XIVE_STATE_VALID | XIVE_STATE_LSI | XIVE_STATE_ASSERTED | XIVE_PQ_PENDING;
  EXPECT(xive_client_set_source_states(client, 40, 2, states) == 0);
  struct xive_source_state read[2];
  EXPECT(xive_client_source_states(client, 40, 2, read) == 0);
  EXPECT(memcmp(read, states, sizeof read) == 0);

  // 48 is where the sources end since that was set.
  EXPECT_REFUSED(xive_client_source_states(client, 40, 9, states), E2BIG, "48 sources");
  EXPECT_REFUSED(xive_client_source_states(client, 0, SOURCES + 1, states), E2BIG, "LISN 0x40");
  EXPECT_REFUSED(xive_client_source_states(client, 0, SIZE_MAX, states), EINVAL, "count");
  EXPECT_REFUSED(xive_client_source_states(client, 0, SIZE_MAX / 16, states), E2BIG, "LISN 0x40");
  EXPECT_REFUSED(xive_client_set_source_states(client, 64, 1, states), E2BIG, "LISN 0x40");
  states[1].flags |= XIVE_STATE_PASSTHROUGH;
  EXPECT_REFUSED(xive_client_set_source_states(client, 0, 2, states), EINVAL, "LISN 0x0");
  EXPECT(xive_client_source_states(client, 0, 2, read) == 0 && !(read[0].flags & XIVE_STATE_LSI));
}

static void check_vps(const xive_client *client, const char *path) {
  struct xive_vp state;
  EXPECT(xive_client_vp_state(client, 1, &state) == 0 && state.flags == 0);
  state.state[0] = xive_host_to_be64(0x00ff100000000000);
  EXPECT(xive_client_set_vp_state(client, 1, &state) == 0);
  EXPECT(xive_client_vp_state(client, 1, &state) == 0 && state.flags == XIVE_VP_PRESENT);
  EXPECT((ring_of(&state) >> 40 & 0xffff) == 0xff10);
  EXPECT_REFUSED(xive_client_set_vp_state(client, 1, &state), EINVAL, "server 1");
  EXPECT_REFUSED(xive_client_vp_state(client, SERVERS, &state), EINVAL, "server 4");
  state.flags = 0;
  EXPECT_REFUSED(xive_client_set_vp_state(client, SERVERS, &state), EINVAL, "server 4");

  xive_client_vcpu *vcpu = xive_client_vcpu_connect(path, 1, NULL);
  EXPECT(vcpu != NULL);
  if (vcpu == NULL) return;
  EXPECT_REFUSED(xive_client_set_address(client, XIVE_ADDRESS_ESB, 0), EEXIST, "ESB window");
  uint8_t nsr = 0, cppr = 0;
  EXPECT(xive_client_vcpu_acknowledge(vcpu, &nsr, &cppr) == 0 && nsr == 0x80 && cppr == 3);
  EXPECT(xive_client_vp_state(client, 1, &state) == 0);
  EXPECT(state.flags == (XIVE_VP_PRESENT | XIVE_VP_CONNECTED));
  uint64_t ring = 0;
  EXPECT(xive_client_vcpu_state(vcpu, &ring) == 0 && ring == ring_of(&state));
  EXPECT((ring >> 48 & 0xff) == 3);
  EXPECT(xive_client_vcpu_set_state(vcpu, ring | 0xffull << 48) == 0);
  EXPECT(xive_client_vcpu_cppr(vcpu, &cppr) == 0 && cppr == 0xff);
  xive_client_vcpu_disconnect(vcpu);
}

static void check_reader(const char *path) {
  xive_client *client = xive_client_open(path, false, NULL);
  EXPECT(client != NULL);
  if (client == NULL) return;
  struct xive_source_state state;
  struct xive_vp vp = {0};
  EXPECT(xive_client_source_states(client, 0, 1, &state) == 0);
  EXPECT_REFUSED(xive_client_set_source_states(client, 0, 1, &state), EBADF, "writing");
  EXPECT_REFUSED(xive_client_set_vp_state(client, 0, &vp), EBADF, "server 0");
  EXPECT_REFUSED(xive_client_set_running(client, false), EBADF, "stopped");
  EXPECT_REFUSED(xive_client_set_source_count(client, 48), EBADF, "48 sources");
  EXPECT_REFUSED(xive_client_set_address(client, XIVE_ADDRESS_ESB, 0), EBADF, "ESB window");
  xive_client_close(client);
}

int main(int count, char **values) {
  if (count != 2) return 64;
  xive_client *client = xive_client_open(values[1], true, NULL);
  if (client == NULL) return 1;
  check_sizes(client);
  check_addresses(client);
  check_running(client);
  check_states(client);
  check_vps(client, values[1]);
  check_reader(values[1]);
  xive_client_close(client);
  return conclude();
}
