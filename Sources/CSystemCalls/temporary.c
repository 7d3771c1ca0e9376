#define _GNU_SOURCE
#include "csystem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

int csystem_make_temporary(char *name) {
  int fd = mkostemp(name, O_CLOEXEC);
  return fd < 0 ? -errno : fd;
}
