/// A consumer of a xive device file in C, through the client library.
///
///     swift build --product xive-client
///     cc -I Sources/CXIVE/include -o client tools/examples/client.c -L .build/debug -lxive-client
///     LD_LIBRARY_PATH=.build/debug ./client PATH [LISN]
///
/// It creates source LISN (default 16), lets it take two events, and looks at it in both ways: by
/// exact loads and through a mapping. Exit status: 0 done, 1 refused, 64 usage.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "xive_client.h"

/// Ends the program with the library's words when a call was refused.
static void require(bool succeeded) {
  if (succeeded) return;
  fprintf(stderr, "client: %s\n", xive_client_error_message());
  exit(EXIT_FAILURE);
}

static uint64_t load(const xive_client_mapping *mapping, uint64_t offset) {
  const char *page = xive_client_mapping_address(mapping);
  return xive_be64_to_host(*(const volatile uint64_t *)(page + offset));
}

int main(int count, char **values) {
  if (count < 2 || count > 3) {
    fprintf(stderr, "usage: client PATH [LISN]\n");
    return 64;
  }
  uint32_t lisn = count == 3 ? (uint32_t)strtoul(values[2], NULL, 0) : 16;

  xive_client *client = xive_client_open(values[1], true, NULL);
  require(client != NULL);
  struct xive_info_geometry geometry;
  require(xive_client_geometry(client, &geometry) == 0);
  uint64_t page = UINT64_C(1) << geometry.device_page_shift;
  printf("%" PRIu32 " sources, pages of %" PRIu64 " bytes\n", geometry.sources, page);

  // A new source is off; at 00 the first trigger makes it pending, the second one waits in Q.
  require(xive_client_create_source(client, lisn, 0) == 0);
  require(xive_client_set_pq(client, lisn, XIVE_PQ_RESET, NULL) == 0);
  require(xive_client_trigger(client, lisn) == 0);
  require(xive_client_trigger(client, lisn) == 0);
  uint64_t pq;
  require(xive_client_pq(client, lisn, &pq) == 0);
  printf("PQ after two triggers: %" PRIu64 "\n", pq);

  // The management page is the second one of the mapping.
  xive_client_mapping *mapping = xive_client_map_source(client, lisn, NULL);
  require(mapping != NULL);
  printf("mapped, PQ: %" PRIu64 "\n", load(mapping, page + XIVE_ESB_GET));
  bool forwarded;
  require(xive_client_end_of_interrupt(client, lisn, &forwarded) == 0);
  printf("end of interrupt: the queued event was %s\n", forwarded ? "forwarded" : "not there");
  require(xive_client_set_pq(client, lisn, XIVE_PQ_OFF, NULL) == 0);
  xive_client_unmap(mapping);
  xive_client_close(client);
  return EXIT_SUCCESS;
}
