// A scripted consumer of any device file that can be mapped, for end-to-end tests: one command a
// line on standard input, exactly one answer line each on standard output. It outlives SIGBUS and
// SIGSEGV on every access that a command makes. `TestConsumer --help` lists the commands;
// `TestConsumer --apart PROGRAM ARGUMENT...` runs another program instead, in a process namespace of its own.
#ifndef CONSUMER_H
#define CONSUMER_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  slot_count = 1024,
  most_threads = 64,
  most_transferred = 64 << 20,  // bytes in one answer
};

// A handler gives its one answer and returns true, or returns false for a malformed command; the
// loop then answers `usage` with the command's help.
typedef bool command_handler(int count, char **arguments);

// text.c: numbers, hex and answers
extern FILE *output;
struct bytes {
  uint8_t *data;  // page-aligned, so that it also suits O_DIRECT on ordinary files
  size_t count;
};
bool parse_number(const char *text, uint64_t *number);
bool parse_numbers(char **texts, int count, uint64_t *numbers);
bool parse_hex(const char *text, struct bytes *bytes);  // "-" is no bytes; the caller frees data
// The index of `text` in a list of words that ends with NULL, or -1.
int parse_word(const char *text, const char *const *words);
void *allocate_pages(size_t count);
__attribute__((format(printf, 1, 2))) void answer(const char *format, ...);
void answer_hex(const char *prefix, const void *data, size_t count);
void answer_errno(void);
bool answer_result(int result);  // `ok`, or errno when negative; always true
// Sets the reason that the usage answer gives when the handler returns false.
__attribute__((format(printf, 1, 2))) void set_refusal(const char *format, ...);
#define refuse(...) (set_refusal(__VA_ARGS__), false)
const char *refusal(void);
uint64_t nanoseconds_now(void);
void sleep_nanoseconds(uint64_t nanoseconds);

// descriptors.c and mappings.c: what the test's small numbers stand for
struct mapping {
  uint8_t *base;  // NULL: free
  uint64_t length;
  uint64_t file_offset;
  unsigned descriptor;  // not known of a trapped window
  bool is_trapped;
};
bool parse_descriptor(const char *text, int *descriptor);
int descriptor_in_slot(unsigned slot);  // -1 when closed
bool keep_descriptor(unsigned slot, int descriptor);  // false when the slot is taken
bool parse_slot(const char *text, unsigned *slot);
struct mapping *parse_mapping(const char *text);
// Parses `M OFFSET LENGTH` and refuses what lies outside M: it could be this program's own memory.
struct mapping *parse_range(char **texts, uint64_t *offset, uint64_t *length);
bool contains(const struct mapping *mapping, uint64_t offset, uint64_t length);
// Takes a trapped window; false when the slot is taken.
bool keep_window(unsigned slot, void *base, uint64_t length, uint64_t file_offset);

// accesses.c: loads and stores that may fault
struct fault {
  int signal, code;
  uintptr_t address;
};
void catch_faults(void);        // once for the process
void *enter_signal_stack(void);  // for every further thread
void leave_signal_stack(void *stack);
// False after a fault, which last_fault() of the same thread then describes. Big-endian values.
bool guarded_load(const volatile void *address, uint64_t size, uint64_t *value);
bool guarded_store(volatile void *address, uint64_t size, uint64_t value);
struct fault last_fault(void);
bool is_access_size(uint64_t size);

// apart.c: runs a program that cannot see the processes outside; its exit code.
int run_apart(char **words);

command_handler do_load, do_store, do_await, do_bytes, do_lend, do_time;
command_handler do_map, do_unmap, do_remap, do_protect, do_advise, do_resident, do_present, do_msync;
command_handler do_open, do_held_epoll, do_memfd, do_eventfd, do_raise, do_take, do_duplicate, do_number, do_close, do_stat, do_fsync, do_syncrange, do_drop,
  do_pread, do_pwrite, do_seek;
command_handler do_poll, do_epoll_add, do_epoll_wait, do_collect;
command_handler do_ioctl, do_ioctl_value, do_attr, do_inline, do_flags;
command_handler do_fork, do_child, do_reap;
command_handler do_crowd_open, do_crowd_wait, do_crowd_take;
command_handler do_irqfd, do_connect, do_line, do_message, do_register;
command_handler do_traffic_start, do_traffic_halt, do_traffic_transfer, do_traffic_connect, do_traffic_late,
  do_traffic_join, do_traffic_end;
command_handler do_chaos, do_fuzz;
command_handler do_trap, do_contend;
command_handler do_threads, do_hammer, do_burst, do_storm;

#endif
