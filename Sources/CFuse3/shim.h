#pragma once
// libfuse gates its ABI on this macro; Swift cannot define it per import.
#define FUSE_USE_VERSION 314
#include <stddef.h>
#include <fuse_lowlevel.h>
// The kernel's own side of the protocol: the request loop reads page fills before libfuse does.
#include <linux/fuse.h>

// fuse_file_info is made of bit-fields, whose import into Swift depends on the compiler.
static inline void cfuse3_keep_pages(struct fuse_file_info *info) {
  info->keep_cache = 1;
  info->noflush = 1;
}

// A bufvec is made by a macro; one run of memory is all that is ever stored.
static inline int cfuse3_notify_store(struct fuse_session *session, uint64_t offset, void *bytes,
                                      size_t count) {
  struct fuse_bufvec vector = FUSE_BUFVEC_INIT(count);
  vector.buf[0].mem = bytes;
  return fuse_lowlevel_notify_store(session, FUSE_ROOT_ID, (off_t)offset, &vector,
                                    (enum fuse_buf_copy_flags)0);
}
