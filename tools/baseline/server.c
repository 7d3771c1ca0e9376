/// The baseline of the benchmarks: a libfuse server that does nothing, on libfuse's own loop.
///
///     cc -O2 -o server server.c $(pkg-config --cflags --libs fuse3)
///     server PATH
///
/// Serves PATH as one regular file of 4 EiB with the same INIT and OPEN settings as the device, so
/// that a comparison shows the server and not the kernel's policy. Reads give zeros, all else
/// succeeds. Prints `ready PATH` once mounted; SIGTERM or SIGINT unmounts and ends it with 0.
///
/// The ioctl BASELINE_ZAP drops ranges of pages, and fills them again if asked to, before it is
/// answered: on a thread of its own, for the kernel may wait for a request meanwhile.
#define FUSE_USE_VERSION 314
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <fuse_lowlevel.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_SIZE ((off_t)1 << 62)
#define BLOCK_SIZE 4096
#define ATTRIBUTE_TIMEOUT 86400.0

/// libfuse allows requests of 256 pages.
static const char zeros[1 << 20];

#define ZAP_PREFAULT 1u
#define ZAP_RANGES 7

/// The request, as large as the device's own inline attributes.
struct zap {
  uint32_t count;
  uint32_t flags;
  struct {
    uint64_t offset, length;
  } ranges[ZAP_RANGES];
  uint64_t zero;
};
_Static_assert(sizeof(struct zap) == 128, "as large as struct xive_attr");

#define BASELINE_ZAP _IOWR('B', 1, struct zap)

// MARK: - The thread that drops pages

struct order {
  fuse_req_t request;
  struct zap zap;
  struct order *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
/// Guarded by the lock, as is `is_closed`.
static struct order *first, **last = &first;
static bool is_closed;

static void fill(struct fuse_session *session, uint64_t offset, uint64_t length) {
  for (uint64_t done = 0; done < length;) {
    size_t size = length - done < sizeof zeros ? (size_t)(length - done) : sizeof zeros;
    struct fuse_bufvec bytes = FUSE_BUFVEC_INIT(size);
    bytes.buf[0].mem = (void *)(uintptr_t)zeros;
    fuse_lowlevel_notify_store(session, FUSE_ROOT_ID, (off_t)(offset + done), &bytes, 0);
    done += size;
  }
}

static void carry_out(struct fuse_session *session, const struct order *order) {
  const struct zap *zap = &order->zap;
  for (uint32_t i = 0; i < zap->count; i++) {
    fuse_lowlevel_notify_inval_inode(
      session, FUSE_ROOT_ID, (off_t)zap->ranges[i].offset, (off_t)zap->ranges[i].length);
  }
  for (uint32_t i = 0; i < zap->count && zap->flags & ZAP_PREFAULT; i++) {
    fill(session, zap->ranges[i].offset, zap->ranges[i].length);
  }
  fuse_reply_ioctl(order->request, 0, zap, sizeof *zap);
}

static void *run_orders(void *session) {
  pthread_mutex_lock(&lock);
  while (first != NULL || !is_closed) {
    struct order *order = first;
    if (order == NULL) {
      pthread_cond_wait(&changed, &lock);
      continue;
    }
    first = order->next;
    if (first == NULL) last = &first;
    pthread_mutex_unlock(&lock);
    carry_out(session, order);
    free(order);
    pthread_mutex_lock(&lock);
  }
  pthread_mutex_unlock(&lock);
  return NULL;
}

/// Has pages dropped. 0, or the error that refuses it.
static int give_order(fuse_req_t request, const void *input, size_t size) {
  struct order *order = malloc(sizeof *order);
  if (order == NULL) return ENOMEM;
  *order = (struct order){.request = request};
  if (size == sizeof order->zap) memcpy(&order->zap, input, size);
  if (size != sizeof order->zap || order->zap.count > ZAP_RANGES) {
    free(order);
    return EINVAL;
  }
  pthread_mutex_lock(&lock);
  *last = order;
  last = &order->next;
  pthread_cond_signal(&changed);
  pthread_mutex_unlock(&lock);
  return 0;
}

// MARK: - Requests

static void on_init(void *context, struct fuse_conn_info *connection) {
  (void)context;
  // One page per cold fault.
  connection->max_readahead = 0;
  connection->want &= ~(unsigned)(FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_WRITEBACK_CACHE
    | FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_ASYNC_DIO | FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE
    | FUSE_CAP_SPLICE_MOVE);
  connection->want |= connection->capable & FUSE_CAP_EXPLICIT_INVAL_DATA;
}

static void reply_attributes(fuse_req_t request) {
  struct stat status = {
    .st_ino = FUSE_ROOT_ID,
    .st_mode = S_IFREG | 0600,
    .st_nlink = 1,
    .st_uid = getuid(),
    .st_gid = getgid(),
    .st_size = FILE_SIZE,
    .st_blksize = BLOCK_SIZE,
  };
  fuse_reply_attr(request, &status, ATTRIBUTE_TIMEOUT);
}

static void on_getattr(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *file) {
  (void)inode;
  (void)file;
  reply_attributes(request);
}

// open(O_TRUNC) and touch change nothing, but succeed.
static void on_setattr(
  fuse_req_t request, fuse_ino_t inode, struct stat *status, int valid, struct fuse_file_info *file
) {
  (void)inode;
  (void)status;
  (void)valid;
  (void)file;
  reply_attributes(request);
}

static void on_open(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *file) {
  (void)inode;
  // Without keep_cache every open would empty the cache of all consumers.
  file->keep_cache = 1;
  file->noflush = 1;
  fuse_reply_open(request, file);
}

static void on_read(
  fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset, struct fuse_file_info *file
) {
  (void)inode;
  (void)offset;
  (void)file;
  // Never short: the kernel would take that for the end of the file.
  if (size > sizeof zeros) {
    fuse_reply_err(request, EIO);
    return;
  }
  fuse_reply_buf(request, zeros, size);
}

static void on_write(
  fuse_req_t request, fuse_ino_t inode, const char *bytes, size_t size, off_t offset,
  struct fuse_file_info *file
) {
  (void)inode;
  (void)bytes;
  (void)offset;
  (void)file;
  fuse_reply_write(request, size);
}

static void on_fsync(
  fuse_req_t request, fuse_ino_t inode, int data_only, struct fuse_file_info *file
) {
  (void)inode;
  (void)data_only;
  (void)file;
  fuse_reply_err(request, 0);
}

static void on_ioctl(
  fuse_req_t request, fuse_ino_t inode, unsigned command, void *argument,
  struct fuse_file_info *file, unsigned flags, const void *input, size_t input_size,
  size_t output_size
) {
  (void)inode;
  (void)argument;
  (void)file;
  (void)flags;
  (void)output_size;
  if (command != (unsigned)BASELINE_ZAP) {
    fuse_reply_ioctl(request, 0, NULL, 0);
    return;
  }
  int error = give_order(request, input, input_size);
  if (error != 0) fuse_reply_err(request, error);
}

// No getxattr: libfuse answers ENOSYS once and the kernel stops asking before each write.
static const struct fuse_lowlevel_ops operations = {
  .init = on_init,
  .getattr = on_getattr,
  .setattr = on_setattr,
  .open = on_open,
  .read = on_read,
  .write = on_write,
  .fsync = on_fsync,
  .ioctl = on_ioctl,
};

/// Handles requests on libfuse's threads, and drops pages on one more.
static int loop(struct fuse_session *session) {
  // Signals that end it go to this thread, which waits for them.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  pthread_t thread;
  int error = pthread_create(&thread, NULL, run_orders, session);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (error != 0) return -1;
  int result = fuse_session_loop_mt(session, NULL);
  pthread_mutex_lock(&lock);
  is_closed = true;
  pthread_cond_signal(&changed);
  pthread_mutex_unlock(&lock);
  pthread_join(thread, NULL);
  return result;
}

/// Serves until a signal or an unmount. 0, or 1 after an error, which libfuse has printed.
static int serve(struct fuse_session *session, const char *path) {
  if (fuse_set_signal_handlers(session) != 0) return EXIT_FAILURE;
  int status = EXIT_FAILURE;
  if (fuse_session_mount(session, path) == 0) {
    // From here on an open finds the mount, and the kernel holds it until INIT is answered.
    printf("ready %s\n", path);
    fflush(stdout);
    // Positive: the signal that ended it, as it should be.
    status = loop(session) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
    fuse_session_unmount(session);
  }
  fuse_remove_signal_handlers(session);
  return status;
}

int main(int count, char **values) {
  if (count != 2) {
    fprintf(stderr, "usage: server PATH\n");
    return 64;
  }
  char *options[] = {"server", "-o", "fsname=baseline,subtype=baseline", NULL};
  struct fuse_args arguments = FUSE_ARGS_INIT(3, options);
  struct fuse_session *session =
    fuse_session_new(&arguments, &operations, sizeof operations, NULL);
  int status = EXIT_FAILURE;
  if (session != NULL) {
    status = serve(session, values[1]);
    fuse_session_destroy(session);
  }
  fuse_opt_free_args(&arguments);
  return status;
}
