// Open files that windows show. A range of the table holds a reference.
#include "internal.h"
#include "system.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef F_DUPFD_QUERY
#define F_DUPFD_QUERY 1027  // linux/fcntl.h, from 6.10 on
#endif
enum { SAME_FILE = 0 };  // KCMP_FILE of linux/kcmp.h

// Where programs that count or close their descriptors from the bottom do not meet ours.
enum { DESCRIPTOR_FLOOR = 500 };

// In memory that is never given back, so that a list can be walked while devices come and go.
enum { CHUNK_DEVICES = 60 };
struct chunk {
  struct chunk *next;
  struct ctrap_device devices[CHUNK_DEVICES];
};
static struct chunk *_Atomic chunks;
// The first ones lie where the program unmaps nothing; see table.c.
enum { OWN_CHUNKS = 16 };
static struct chunk own_chunks[OWN_CHUNKS];
static int own_count;

static bool take_unless_gone(ctrap_device *device) {
  uint32_t count = atomic_load(&device->references);
  while (count != 0)
    if (atomic_compare_exchange_weak(&device->references, &count, count + 1)) return true;
  return false;
}

void trap_retain(ctrap_device *device) { atomic_fetch_add(&device->references, 1); }

void trap_release(ctrap_device *device) {
  int fd = device->fd;
  struct trap_path *path = atomic_load(&device->path);
  if (atomic_fetch_sub(&device->references, 1) != 1) return;
  trap_path_close(path);
  trap_system(SYS_close, fd, 0, 0, 0, 0, 0);
}

// Whether two descriptors are of one open file, as far as the system tells.
static bool is_same_file(int a, int b) {
  long answer = trap_system(SYS_fcntl, a, F_DUPFD_QUERY, b, 0, 0, 0);
  if (answer >= 0) return answer == 1;
  long self = trap_system(SYS_getpid, 0, 0, 0, 0, 0, 0);
  return trap_system(SYS_kcmp, self, self, SAME_FILE, a, b, 0) == 0;
}

// With the lock held: the device of the same open file, or room for a new one.
static ctrap_device *find(int fd, ctrap_device **room) {
  *room = NULL;
  for (struct chunk *chunk = chunks; chunk != NULL; chunk = chunk->next) {
    for (int i = 0; i < CHUNK_DEVICES; i++) {
      ctrap_device *device = &chunk->devices[i];
      if (!take_unless_gone(device)) *room = device;
      else if (is_same_file(fd, device->fd)) return device;
      else trap_release(device);
    }
  }
  return NULL;
}

static struct chunk *take_chunk(void) {
  if (own_count < OWN_CHUNKS) return &own_chunks[own_count++];
  long made = trap_system(SYS_mmap, 0, sizeof(struct chunk), PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return made < 0 && made > -4096 ? NULL : (struct chunk *)made;
}

static ctrap_device *grow(void) {
  struct chunk *chunk = take_chunk();
  if (chunk == NULL) return NULL;
  chunk->next = chunks;
  chunks = chunk;
  return &chunk->devices[0];
}

static int duplicate(int fd) {
  long copy = trap_system(SYS_fcntl, fd, F_DUPFD_CLOEXEC, DESCRIPTOR_FLOOR, 0, 0, 0);
  // Beyond the process's limit: anywhere.
  return (int)(copy == -EINVAL ? trap_system(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 0, 0, 0, 0) : copy);
}

static int create(ctrap_device *device, int fd) {
  long flags = trap_system(SYS_fcntl, fd, F_GETFL, 0, 0, 0, 0);
  if (flags < 0) return (int)flags;
  int copy = duplicate(fd);
  if (copy < 0) return copy;
  device->fd = copy;
  device->is_readable = (flags & O_ACCMODE) != O_WRONLY;
  device->is_writable = (flags & O_ACCMODE) != O_RDONLY;
  atomic_store(&device->path, trap_path_open(copy));
  atomic_store(&device->references, 1);
  return 0;
}

#if defined __x86_64__
static const bool is_supported = true;
#else
static const bool is_supported = false;
#endif

int ctrap_device_open(int fd, ctrap_device **device) {
  if (!is_supported) return -ENOTSUP;
  uint64_t before;
  trap_lock(&before);
  ctrap_device *room;
  int result = 0;
  if ((*device = find(fd, &room)) == NULL) {
    if (room == NULL) room = grow();
    result = room == NULL ? -ENOMEM : create(room, fd);
    if (result == 0) *device = room;
  }
  trap_unlock(before);
  return result;
}

void ctrap_device_close(ctrap_device *device) { trap_release(device); }

static _Atomic uint64_t access_count;

uint64_t ctrap_access_count(void) { return atomic_load_explicit(&access_count, memory_order_relaxed); }

long trap_perform(ctrap_device *device, bool is_store, uint64_t offset, void *bytes, size_t size) {
  atomic_fetch_add_explicit(&access_count, 1, memory_order_relaxed);
  long result;
  if (trap_path_access(atomic_load(&device->path), is_store, offset, bytes, size, &result)) return result;
  return trap_system(is_store ? SYS_pwrite64 : SYS_pread64, device->fd, (long)bytes, (long)size,
                     (long)offset, 0, 0);
}

void trap_device_forget_accesses(void) {
  for (struct chunk *chunk = chunks; chunk != NULL; chunk = chunk->next)
    for (int i = 0; i < CHUNK_DEVICES; i++) trap_read_forget(&chunk->devices[i].accesses);
}

// The lowest of our descriptors from a number on, or -1, for those who keep programs from closing them.
int trap_device_next(int first) {
  int next = -1;
  for (struct chunk *chunk = chunks; chunk != NULL; chunk = chunk->next)
    for (int i = 0; i < CHUNK_DEVICES; i++) {
      const ctrap_device *device = &chunk->devices[i];
      if (atomic_load(&device->references) == 0 || device->fd < first) continue;
      if (next < 0 || device->fd < next) next = device->fd;
    }
  return next;
}

bool trap_device_owns(int fd) { return fd >= 0 && trap_device_next(fd) == fd; }
