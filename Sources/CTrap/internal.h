// What the parts of the trap share. See the files for how; nothing of it is for other modules but the preload library.
#pragma once
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "ctrap.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/ucontext.h>

// TLS that a handler may touch: never allocated lazily.
#define TRAP_THREAD _Thread_local __attribute__((tls_model("initial-exec")))

// MARK: - decode.c, complete.c: instructions. Pure; no state, no allocation, no system call.

enum trap_verdict {
  TRAP_PERFORM,    // one load or one store of 1, 2, 4 or 8 bytes
  TRAP_BUS_ERROR,  // xchg or a locked operation: a bus to registers knows none of them
  TRAP_REFUSED,    // anything else
  TRAP_TRUNCATED,  // more bytes of the instruction are needed
};

struct trap_access {
  enum trap_verdict verdict;
  bool is_store;
  uint8_t size;      // bytes accessed
  uint8_t length;    // bytes of the instruction
  uint64_t address;  // effective address of the memory operand, segment base included
  uint8_t bytes[8];  // of a store, in memory's order
  // How a load is completed, for trap_complete() alone.
  uint8_t operation, target, width, condition;
  uint64_t operand;
};

// Decodes the instruction that `count` (1 to 15) bytes begin with, as the thread in `context` would execute it.
// A repeated (rep) or string instruction, one with two memory operands, with a vector register, or that loads a segment
// register, is refused.
void trap_decode(
  const uint8_t *code, size_t count, const mcontext_t *context, struct trap_access *access);

// Completes a load or a store: registers and flags as the instruction leaves them when memory holds `bytes` (of a store:
// ignored), the instruction pointer behind it, RF clear.
void trap_complete(
  const struct trap_access *access, const uint8_t bytes[8], mcontext_t *context);

// MARK: - message.c

// Says in one line on standard error which instruction at which address cannot be performed, and what to use instead:
// address, bytes, disassembly, accessed address, device offset. Async-signal-safe, on 2 KiB of stack at most.
void trap_report(
  const struct trap_access *access, const uint8_t *code, size_t count, uint64_t instruction_pointer,
  uint64_t address, uint64_t offset);

// Before the first report: what functions of other libraries need at their first call is not had in a handler.
void trap_report_prepare(void);

// Says that a breakpoint hides the instruction.
void trap_report_hidden(uint64_t instruction_pointer, uint64_t address);

// MARK: - readers.c: one lock for those who change something, none for those who use it in a handler.

// All signals are blocked while it is held. Forks wait for it.
void trap_lock(uint64_t *before);
void trap_unlock(uint64_t before);

// As while it is held, without it. Whoever reads outside of the handler blocks them meanwhile.
uint64_t trap_block_signals(void);
void trap_restore_signals(uint64_t before);

// Those who use something that may be replaced. Of two generations one is current; the other drains.
struct trap_readers {
  _Atomic uint32_t generation, counts[2];
};

// Of what is replaced as a whole: the table, the program's action.
extern struct trap_readers trap_lookups;

// Around a handler's use.
uint32_t trap_read_begin(struct trap_readers *readers);
void trap_read_end(struct trap_readers *readers, uint32_t reading);
// With the lock held: waits until nobody has what was there before.
void trap_read_drain(struct trap_readers *readers);
// In the child of a fork: those who read were other threads.
void trap_read_forget(struct trap_readers *readers);
// With the lock held, or while there is one thread: has forks wait for the lock, from the first call on.
void trap_watch_forks(void);
// Whether a child of vfork() runs this, in its parent's memory; from the first call of trap_watch_forks() on.
bool trap_is_borrowed(void);
// In a handler, behind the look: whether anything has changed since `seen` was set here, or is about to; first it is 0.
bool trap_has_changed(uint64_t *seen);

// MARK: - device.c: open files. Type-stable memory, so that a handler may take a reference to one that goes.

// mailbox.c: a shorter way to the server, if there is one; NULL is none.
struct trap_path;
struct trap_path *trap_path_open(int fd);
void trap_path_close(struct trap_path *path);
// In the child of a fork: its thread has another number, by which the server knows whose accesses they are.
void trap_path_forget_thread(void);
// False where the access has not been made and has to go the long way.
bool trap_path_access(
  struct trap_path *path, bool is_store, uint64_t offset, void *bytes, size_t size, long *result);

struct ctrap_device {
  _Atomic uint32_t references;  // handles and ranges of the table
  struct trap_readers accesses;  // under way, through windows
  int fd;
  bool is_readable, is_writable;
  struct trap_path *_Atomic path;
};

void trap_retain(ctrap_device *device);
// May be called in a handler: closes the descriptor by a system call.
void trap_release(ctrap_device *device);

// Whether a descriptor's number is one of ours; the lowest one of ours from a number on, or -1.
bool trap_device_owns(int fd);
int trap_device_next(int first);

// In the child of a fork.
void trap_device_forget_accesses(void);

// Performs one access: bytes moved, or a negative errno. In a handler, all signals but SIGSEGV blocked.
long trap_perform(ctrap_device *device, bool is_store, uint64_t offset, void *bytes, size_t size);

// MARK: - table.c: which addresses are windows. Changed under a lock, read without one.

struct trap_range {
  uintptr_t start, end;  // of addresses
  ctrap_device *device;
  uint64_t offset;       // of `start` in the file
  int protection;
};

// Changes to the table, with the lock held. Nothing is changed when they fail; -ENOMEM. When they return no access of
// what was there before is under way.
// Sets a run of ranges, ascending and adjoining, in place of whatever is there.
int trap_table_set(const struct trap_range *ranges, size_t count);
int trap_table_remove(uintptr_t start, uintptr_t end);
int trap_table_protect(uintptr_t start, uintptr_t end, int protection);
// Moves or copies (keeps_old) what [start, start + old_length) shows to `target`, `new_length` long: cut, or continued in
// the file.
int trap_table_move(
  uintptr_t start, size_t old_length, uintptr_t target, size_t new_length, bool keeps_old);

// With the lock held: calls `visit` for each part of [start, end) in ascending order; `range` is NULL for a part that is
// no window. Stops at, and returns, the first result that is not 0.
int trap_table_visit(
  uintptr_t start, uintptr_t end,
  int (*visit)(uintptr_t start, uintptr_t end, const struct trap_range *range, void *argument),
  void *argument);
// With the lock held: whether any of [start, end) is a window, or all of it.
bool trap_table_has_any(uintptr_t start, uintptr_t end);
bool trap_table_has_all(uintptr_t start, uintptr_t end);

// Lock-free, in a handler: copies the range that has `address`, and begins an access of its device, which the caller
// ends (trap_read_end). False when there is none.
bool trap_table_find(uintptr_t address, struct trap_range *range, uint32_t *access);

// MARK: - aside.c

// With the lock held: puts what the table has for a place aside, so that it can be brought back when the kernel refuses
// what is to be done there. `stays`: in its place as well. -ENOMEM.
int trap_put_aside(uintptr_t start, uintptr_t end, bool stays);
void trap_bring_back(uintptr_t start, uintptr_t end);
void trap_forget_aside(uintptr_t start, uintptr_t end);

// MARK: - handler.c, signals.c, chain.c, raise.c

// With the lock held: installs the handler of SIGSEGV, keeping the program's, unless it is there.
int trap_install(void);

// With the lock held: has what handlers call ready.
void trap_prepare(void);

// Handles a fault of a window. False when it is not ours.
bool trap_handle(siginfo_t *info, ucontext_t *context);

// What sigaction(SIGSEGV) is for the program while the handler is installed. -EINVAL.
int trap_program_action(const struct sigaction *action, struct sigaction *old);

// Has the program receive SIGBUS at an address, before it executes another instruction, as from a real page.
void trap_raise_bus_error(int code, uint64_t address, ucontext_t *context);

// Has a program that steps itself (TF), or that a debugger steps, stop behind the instruction.
void trap_finish_step(ucontext_t *context, bool is_stepped_over);

// MARK: - breakpoint.c

// Brings back the first byte of code, which a breakpoint (int3) hides, from the file that the code is of. False when it
// is of none, or the file is another one by now.
bool trap_reveal(uint8_t *code, size_t count, uint64_t address);

// Whether a debugger is attached to this thread.
bool trap_is_traced(void);
