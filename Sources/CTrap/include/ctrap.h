/// Windows on a device file in which every load and store traps and becomes one exact access.
///
/// A window is a mapping of the file without any right of access. A touch raises SIGSEGV; the handler here decodes
/// the instruction, performs it as one `pread` or `pwrite` of the register's size, completes the program's registers
/// and goes on behind the instruction. What the device refuses becomes SIGBUS at the accessed address; what is not a
/// touch of a window goes to the program's own handler. x86-64; -ENOTSUP elsewhere.
///
/// The handler takes no lock and allocates nothing; it needs SIGSEGV not to be blocked by the thread that touches.
/// Results: 0 or a negative errno. Thread rule: every function is safe from several threads at once, and none may be
/// called in a signal handler; a touch may.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// A file that windows show, with a descriptor of its own of the same open file.
typedef struct ctrap_device ctrap_device;

/// A part of a file: where it begins, and how many bytes. Both are multiples of the system's page.
struct ctrap_piece {
  uint64_t offset;
  size_t length;
};

/// Takes a descriptor's open file; the descriptor need not stay open. Loads and stores are exact if it is open with
/// O_DIRECT. -EMFILE, -EBADF.
int ctrap_device_open(int fd, ctrap_device **device);

/// Gives the handle back; windows keep the file open.
void ctrap_device_close(ctrap_device *device);

/// Makes a window. `protection`: PROT_READ and PROT_WRITE, as of mmap; what it does not allow raises the program's own
/// SIGSEGV. The errors of mmap; -EACCES for more than the descriptor may.
int ctrap_map(
  ctrap_device *device, uint64_t offset, size_t length, int protection, void **address);

/// Has a place of a window show other parts of a file, one behind the other: others that touch it meanwhile find all
/// of the old or all of the new. -EINVAL where it is not all windows.
int ctrap_show(
  void *address, ctrap_device *device, int protection, const struct ctrap_piece *pieces,
  size_t count);

/// Unmaps windows, or parts of them. An access that is under way in another thread is completed.
int ctrap_unmap(void *address, size_t length);

/// How many accesses have been performed by windows of this process, refused ones included.
uint64_t ctrap_access_count(void);

#ifdef __cplusplus
}
#endif
