/// The baseline of the benchmarks: a libfuse server that does nothing, on libfuse's own loop.
///
///     cc -O2 -o server server.c $(pkg-config --cflags --libs fuse3)
///     server PATH
///
/// Serves PATH as one regular file of 4 EiB with the same INIT and OPEN settings as the device, so
/// that a comparison shows the server and not the kernel's policy. Reads give zeros, all else
/// succeeds. Prints `ready PATH` once mounted; SIGTERM or SIGINT unmounts and ends it with 0.
#define FUSE_USE_VERSION 314
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <fuse_lowlevel.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_SIZE ((off_t)1 << 62)
#define BLOCK_SIZE 4096
#define ATTRIBUTE_TIMEOUT 86400.0

/// libfuse allows requests of 256 pages.
static const char zeros[1 << 20];

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
  (void)command;
  (void)argument;
  (void)file;
  (void)flags;
  (void)input;
  (void)input_size;
  (void)output_size;
  fuse_reply_ioctl(request, 0, NULL, 0);
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

/// Serves until a signal or an unmount. 0, or 1 after an error, which libfuse has printed.
static int serve(struct fuse_session *session, const char *path) {
  if (fuse_set_signal_handlers(session) != 0) return EXIT_FAILURE;
  int status = EXIT_FAILURE;
  if (fuse_session_mount(session, path) == 0) {
    // From here on an open finds the mount, and the kernel holds it until INIT is answered.
    printf("ready %s\n", path);
    fflush(stdout);
    // Positive: the signal that ended it, as it should be.
    status = fuse_session_loop_mt(session, NULL) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
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
