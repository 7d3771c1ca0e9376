// Every function of xive_client.h for PHBs, passthrough and windows, and every refusal.
//
//     passthrough PATH
//
// PATH is a device of 64 sources and 4 KiB pages, of which 0 to 31 exist, without a PHB; it is
// changed. Prints a line for each expectation that is not met, and exits 1 if there was one.
#define _GNU_SOURCE
#include <errno.h>

#include "expect.h"

enum { PAGE = 4096, SOURCES = 64, UNTOUCHED = 77 };

static struct xive_passthrough run_of(uint32_t phb, uint32_t irq, uint32_t count) {
  return (struct xive_passthrough){.phb = phb, .first_hwirq = irq, .count = count};
}

static void check_phbs(const xive_client *client) {
  struct xive_phb shape = {.nr_msis = 12, .nr_lsis = 4, .flags = XIVE_PHB_STORE_EOI}, status;
  EXPECT(xive_client_add_phb(client, 3, &shape) == 0);
  EXPECT(xive_client_phb_status(client, 3, &status) == 0);
  EXPECT(memcmp(&status, &shape, sizeof shape) == 0);
  EXPECT_REFUSED(xive_client_add_phb(client, 3, &shape), EEXIST, "PHB 3");
  EXPECT_REFUSED(xive_client_add_phb(client, 1024, &shape), EINVAL, "phb: 1024");
  struct xive_phb none = {0}, many = {.nr_msis = 65536, .nr_lsis = 1};
  struct xive_phb flags = {.nr_msis = 1, .flags = 2}, mapped = {.nr_msis = 1, .mapped = 1};
  // Not what the request does with such a payload.
  EXPECT_REFUSED(xive_client_add_phb(client, 3, &none), EINVAL, "PHB 3: 0 interrupts");
  EXPECT_REFUSED(xive_client_add_phb(client, 4, &many), E2BIG, "PHB 4: 65537 interrupts");
  EXPECT_REFUSED(xive_client_add_phb(client, 4, &flags), EINVAL, "flags: 2");
  EXPECT_REFUSED(xive_client_add_phb(client, 4, &mapped), EINVAL, "mapped: 1");
  EXPECT_REFUSED(xive_client_remove_phb(client, 4), ENOENT, "PHB 4");
  EXPECT_REFUSED(xive_client_remove_phb(client, UINT32_MAX), EINVAL, "phb: 4294967295");
  status.nr_msis = UNTOUCHED;
  EXPECT_REFUSED(xive_client_phb_status(client, 4, &status), ENOENT, "PHB 4");
  EXPECT_REFUSED(xive_client_phb_status(client, 65536 + 3, &status), EINVAL, "phb: 65539");
  EXPECT(status.nr_msis == UNTOUCHED);
}

static void check_passthrough(const xive_client *client) {
  struct xive_passthrough run = run_of(3, 2, 4), other = run_of(3, 3, 4), none = run_of(3, 0, 0);
  struct xive_passthrough flags = run_of(3, 2, 4), unplugged = run_of(5, 0, 1);
  struct xive_passthrough beyond = run_of(3, 13, 4), number = run_of(3, 65536, 1);
  struct xive_passthrough_state state = {.phb = UNTOUCHED};
  flags.flags = XIVE_PASSTHROUGH_UNMAP;
  EXPECT(xive_client_passthrough_state(client, 8, &state) == 0);
  EXPECT(state.mapped == 0 && state.phb == 0 && state.hwirq == 0 && state.generation == 1);
  EXPECT(xive_client_map_passthrough(client, 8, &run) == 0);
  EXPECT(xive_client_passthrough_state(client, 10, &state) == 0);
  EXPECT(state.mapped == 1 && state.phb == 3 && state.hwirq == 4 && state.generation == 2);
  EXPECT_REFUSED(xive_client_map_passthrough(client, 9, &run), EINVAL, "LISNs 0x9-0xc");
  EXPECT_REFUSED(xive_client_map_passthrough(client, 31, &run), EINVAL, "LISNs 0x1f-0x22");
  EXPECT_REFUSED(xive_client_map_passthrough(client, 62, &run), E2BIG, "LISN 0x40");
  EXPECT_REFUSED(xive_client_map_passthrough(client, UINT32_MAX, &run), E2BIG, "0xffffffff");
  EXPECT_REFUSED(xive_client_map_passthrough(client, 0, &none), EINVAL, "at least one");
  EXPECT_REFUSED(xive_client_map_passthrough(client, 0, &flags), EINVAL, "flags: 1");
  EXPECT_REFUSED(xive_client_map_passthrough(client, 0, &unplugged), ENOENT, "PHB 5");
  EXPECT_REFUSED(xive_client_map_passthrough(client, 0, &beyond), ENOENT, "interrupts 13-16");
  EXPECT_REFUSED(xive_client_map_passthrough(client, 0, &number), EINVAL, "hwirq: 65536");
  EXPECT_REFUSED(xive_client_unmap_passthrough(client, 8, &other), ENOENT, "LISNs 0x8-0xb");
  EXPECT_REFUSED(xive_client_unmap_passthrough(client, 8, &none), EINVAL, "at least one");
  EXPECT_REFUSED(xive_client_unmap_passthrough(client, 8, &flags), EINVAL, "flags: 1");
  state.phb = UNTOUCHED;
  EXPECT_REFUSED(xive_client_passthrough_state(client, 40, &state), EINVAL, "LISN 0x28");
  EXPECT_REFUSED(xive_client_passthrough_state(client, SOURCES, &state), E2BIG, "LISN 0x40");
  EXPECT(state.phb == UNTOUCHED);
  struct xive_phb status;
  EXPECT(xive_client_phb_status(client, 3, &status) == 0 && status.mapped == 4);
  run.flags = XIVE_PASSTHROUGH_PREFAULT;
  EXPECT(xive_client_unmap_passthrough(client, 8, &run) == 0);
  EXPECT(xive_client_passthrough_state(client, 10, &state) == 0);
  EXPECT(state.mapped == 0 && state.generation == 3);
}

static void check_hardware(const xive_client *client) {
  struct xive_hwirq_state state = {.pq = UNTOUCHED};
  struct xive_passthrough run = run_of(3, 2, 1);
  uint64_t pq;
  EXPECT(xive_client_map_passthrough(client, 8, &run) == 0);
  EXPECT(xive_client_set_pq(client, 8, XIVE_PQ_RESET, NULL) == 0);
  EXPECT(xive_client_hwirq(client, 3, 2, XIVE_HWIRQ_TRIGGER) == 0);
  EXPECT(xive_client_hwirq_state(client, 3, 2, &state) == 0);
  EXPECT(state.pq == XIVE_PQ_PENDING && state.asserted == 0);
  EXPECT(xive_client_hwirq(client, 3, 2, XIVE_HWIRQ_FENCE) == 0);
  EXPECT(xive_client_pq(client, 8, &pq) == 0 && pq == XIVE_ALL_ONES);
  EXPECT(xive_client_hwirq(client, 3, 2, XIVE_HWIRQ_UNFENCE) == 0);
  EXPECT(xive_client_pq(client, 8, &pq) == 0 && pq == XIVE_PQ_PENDING);
  EXPECT(xive_client_hwirq(client, 3, 12, XIVE_HWIRQ_ASSERT) == 0);
  EXPECT(xive_client_hwirq_state(client, 3, 12, &state) == 0 && state.asserted == 1);
  EXPECT(xive_client_hwirq(client, 3, 12, XIVE_HWIRQ_DEASSERT) == 0);
  EXPECT(xive_client_hwirq_state(client, 3, 12, &state) == 0 && state.asserted == 0);
  EXPECT_REFUSED(xive_client_hwirq(client, 3, 2, XIVE_HWIRQ_ASSERT), EINVAL, "interrupt 2");
  EXPECT_REFUSED(xive_client_hwirq(client, 3, 12, XIVE_HWIRQ_TRIGGER), EINVAL, "interrupt 12");
  EXPECT_REFUSED(xive_client_hwirq(client, 3, 2, 6), EINVAL, "operation: 6");
  EXPECT_REFUSED(xive_client_hwirq(client, 3, 16, XIVE_HWIRQ_TRIGGER), ENOENT, "interrupt 16");
  EXPECT_REFUSED(xive_client_hwirq(client, 3, 65536, XIVE_HWIRQ_FENCE), EINVAL, "hwirq: 65536");
  state.pq = UNTOUCHED;
  EXPECT_REFUSED(xive_client_hwirq_state(client, 4, 0, &state), ENOENT, "PHB 4");
  EXPECT_REFUSED(xive_client_hwirq_state(client, 3, 65538, &state), EINVAL, "hwirq: 65538");
  EXPECT(state.pq == UNTOUCHED);
  EXPECT(xive_client_unmap_passthrough(client, 8, &run) == 0);
}

static int create_error(const xive_client *client, uint32_t region, uint32_t lisn, uint32_t count) {
  int error = UNTOUCHED;
  EXPECT(xive_client_window_create(client, region, lisn, count, &error) == NULL);
  return error;
}

static uint64_t page_at(const xive_client_window *window, uint32_t page) {
  const char *start = xive_client_window_address(window);
  const char *signature = start + (size_t)page * PAGE + XIVE_SIGNATURE_OFFSET;
  return xive_be64_to_host(*(const volatile uint64_t *)(signature + 40));
}

static void check_window(const xive_client *client, uint32_t region, uint64_t base) {
  int error = UNTOUCHED;
  xive_client_window *window = xive_client_window_create(client, region, 0, 32, &error);
  EXPECT(window != NULL && error == UNTOUCHED);
  if (window == NULL) return;
  EXPECT(xive_client_window_length(window) == 64 * PAGE);
  struct xive_passthrough run = run_of(3, 2, 4), other = run_of(3, 2, 3), none = run_of(3, 0, 0);
  struct xive_passthrough flags = run_of(3, 2, 4), unplugged = run_of(5, 0, 1);
  struct xive_passthrough beyond = run_of(3, 13, 4);
  flags.flags = XIVE_PASSTHROUGH_PREFAULT;
  EXPECT(xive_client_window_plug(window, 8, &run) == 0);
  EXPECT_REFUSED(xive_client_window_plug(window, 8, &run), EEXIST, "LISNs 0x8-0xb on PHB 3");
  EXPECT_REFUSED(xive_client_window_plug(window, 10, &other), EEXIST, "is LISNs 0x8-0xb");
  EXPECT_REFUSED(xive_client_window_plug(window, 29, &run), EINVAL, "below 0x20");
  EXPECT_REFUSED(xive_client_window_plug(window, UINT32_MAX, &run), EINVAL, "below 0x20");
  EXPECT_REFUSED(xive_client_window_plug(window, 0, &none), EINVAL, "at least one");
  EXPECT_REFUSED(xive_client_window_plug(window, 0, &flags), EINVAL, "flags: 2");
  EXPECT_REFUSED(xive_client_window_plug(window, 0, &unplugged), ENOENT, "PHB 5");
  EXPECT_REFUSED(xive_client_window_plug(window, 0, &beyond), ENOENT, "interrupts 13-16");
  EXPECT_REFUSED(xive_client_window_unplug(window, 8, &other), ENOENT, "LISNs 0x8-0xa");
  EXPECT_REFUSED(xive_client_window_unplug(window, 9, &run), ENOENT, "LISNs 0x9-0xc");
  EXPECT_REFUSED(xive_client_window_unplug(window, 8, &flags), EINVAL, "flags: 2");
  for (uint32_t page = 0; page < 64; page++)
    EXPECT(page_at(window, page) == (page / 2 - 8 < 4 ? xive_phb_offset(3, page / 2 - 6, PAGE)
                                                      : base + page * PAGE));
  EXPECT(xive_client_window_unplug(window, 8, &run) == 0);
  for (uint32_t page = 0; page < 64; page++) EXPECT(page_at(window, page) == base + page * PAGE);
  EXPECT_REFUSED(xive_client_window_unplug(window, 8, &run), ENOENT, "LISNs 0x8-0xb");
  xive_client_window_destroy(window);
}

static void check_windows(const xive_client *client) {
  check_window(client, XIVE_REGION_ESB, xive_esb_offset(0, XIVE_TRIGGER, PAGE));
  check_window(client, XIVE_REGION_KERNEL, xive_kernel_esb_offset(0, XIVE_TRIGGER, PAGE));
  EXPECT_REFUSED(create_error(client, XIVE_REGION_TIMA, 0, 1), EINVAL, "region: 3");
  EXPECT_REFUSED(create_error(client, XIVE_REGION_ESB, 0, 0), EINVAL, "0 bytes");
  EXPECT_REFUSED(create_error(client, XIVE_REGION_ESB, 1, SOURCES), E2BIG, "LISN 0x40");
  EXPECT_REFUSED(create_error(client, XIVE_REGION_ESB, UINT32_MAX, 2), E2BIG, "0xffffffff");
  EXPECT_REFUSED(create_error(client, XIVE_REGION_KERNEL, 2, 1), EINVAL, "page offset 8");
  EXPECT_REFUSED(create_error(client, XIVE_REGION_KERNEL, 0, 0), EINVAL, "0 pages");
  EXPECT(xive_client_window_create(client, XIVE_REGION_TIMA, 0, 1, NULL) == NULL);
  xive_client_window_destroy(NULL);
}

// Looks, and plugs into a window of its own; changes nothing of the device.
static void check_read_only(const char *path) {
  xive_client *client = xive_client_open(path, false, NULL);
  struct xive_phb shape = {.nr_msis = 1};
  struct xive_passthrough run = run_of(3, 0, 1);
  struct xive_passthrough_state state;
  EXPECT(client != NULL);
  if (client == NULL) return;
  EXPECT(xive_client_phb_status(client, 3, &shape) == 0 && shape.nr_msis == 12);
  EXPECT(xive_client_passthrough_state(client, 0, &state) == 0 && state.mapped == 0);
  EXPECT_REFUSED(xive_client_add_phb(client, 7, &shape), EBADF, "request");
  EXPECT_REFUSED(xive_client_remove_phb(client, 3), EBADF, "request");
  EXPECT_REFUSED(xive_client_map_passthrough(client, 0, &run), EBADF, "request");
  EXPECT_REFUSED(xive_client_unmap_passthrough(client, 0, &run), EBADF, "request");
  EXPECT_REFUSED(xive_client_hwirq(client, 3, 0, XIVE_HWIRQ_TRIGGER), EBADF, "request");
  xive_client_window *window = xive_client_window_create(client, XIVE_REGION_ESB, 0, 2, NULL);
  xive_client_close(client);
  EXPECT(window != NULL && xive_client_window_plug(window, 0, &run) == 0);
  EXPECT(window != NULL && page_at(window, 1) == xive_phb_offset(3, 0, PAGE));
  xive_client_window_destroy(window);
}

int main(int count, char **values) {
  if (count != 2) return 64;
  xive_client *client = xive_client_open(values[1], true, NULL);
  if (client == NULL) return 1;
  check_phbs(client);
  check_passthrough(client);
  check_hardware(client);
  check_windows(client);
  check_read_only(values[1]);
  EXPECT(xive_client_remove_phb(client, 3) == 0);
  xive_client_close(client);
  return conclude();
}
