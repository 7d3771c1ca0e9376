/// Trapped windows on a xive device file, for C and C++ programs: libxive-trap.so.
///
///     cc program.c $(pkg-config --cflags --libs xive-trap)      # linked, or
///     LD_PRELOAD=libxive-trap.so.0 program                      # as it is
///
/// In a program that has the library, a shared `mmap` of a device file gives a *trapped window*:
/// every load and store is decoded and performed as one exact access, in order, as if through
/// `pread` or `pwrite`. Linking is enough; the functions here are for programs that want to know
/// more, or want a window whatever the environment says.
///
/// Which pages. `XIVE_TRAP=esb` traps ESB pages alone (region 0 from page 4 on, regions 1, 2 and 16
/// + k), `XIVE_TRAP=tima` TIMA pages alone (pages 0 to 3 of region 0, region 3); by default both.
/// The others are mapped as without the library, also where one mapping has both. MAP_PRIVATE is
/// not touched.
///
/// The open file. Exact accesses need O_DIRECT: it is set on the descriptor's open file when it is
/// not yet. The window keeps that open file, so TIMA pages at offset 0 are those of the vCPU that
/// it is connected to, and closing the descriptor changes nothing.
///
/// What a touch may be. Loads and stores of 1, 2, 4 or 8 bytes by mov, movzx, movsx, movbe, and the
/// arithmetic that compilers fold a load into. What the device refuses raises SIGBUS at the
/// address; where it has no page a load gives all ones, as an exact one. xchg and locked operations
/// raise SIGBUS; any other instruction is named on standard error and raises the program's own
/// SIGSEGV. Each instruction is one access, so use volatile objects: memcpy may be any number of
/// accesses of any size. The kernel cannot read or write through a window: system calls that are
/// given its address fail with EFAULT.
///
/// mmap, munmap, mremap, mprotect, madvise, mlock and shmat work on windows as on other shared
/// mappings, also on parts of them and across their ends; mapping a device file over a window
/// changes what it shows in one step. A mapping that mremap enlarges goes on as what it is.
/// Protection keys have no effect.
///
/// Signals. The library has the handler of SIGSEGV; sigaction and its kin set, and show, the
/// program's own, which is called for faults that are no window's. SIGSEGV is never blocked,
/// whatever masks say; the mask that a thread has asked for is shown to it. Not seen are masks in a
/// ucontext_t, and whatever is done by `syscall` itself.
///
/// Descriptors. The library has one of its own for each open file with windows, from 500 on. close,
/// close_range, closefrom, dup2 and dup3 treat it as one that is not there (EBADF). What the C
/// library closes without those names (in fclose, or by posix_spawn's file actions in the child) is
/// never ours, or is gone with exec anyway; a program that closes every number by `syscall` has its
/// windows raise SIGBUS from then on.
///
/// Results: 0 or a negative errno. Threads: every function is safe from several threads at once;
/// not in a signal handler, where a touch of a window is. x86-64 with the GNU C library.
#ifndef XIVE_TRAP_H
#define XIVE_TRAP_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// The version of this header.
#define XIVE_TRAP_VERSION "0.1.0"

/// Makes a window, whatever XIVE_TRAP says. `offset`: a multiple of 4096, in the device file.
/// `length`: in bytes. `protection`: PROT_READ and PROT_WRITE as of mmap; what it does not allow
/// raises SIGSEGV. The descriptor need not stay open. The errors of mmap; EINVAL too for a file
/// that cannot be open with O_DIRECT, EMFILE for no descriptor left.
int xive_trap_map(int fd, uint64_t offset, size_t length, int protection, void **address);

/// Unmaps windows, or parts of them, as munmap does. An access that is under way in another thread
/// is completed.
int xive_trap_unmap(void *address, size_t length);

/// How many accesses the windows of this process have performed, refused ones included.
uint64_t xive_trap_access_count(void);

/// The version of the library that runs.
const char *xive_trap_version(void);

#ifdef __cplusplus
}
#endif
#endif
