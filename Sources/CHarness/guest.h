// What the guest's program and the process around it share: guest-physical addresses and parameters.
#pragma once
#include "charness.h"

/// RAM from address 0: page tables, the program, its parameters, its stack. 64 KiB.
#define GUEST_RAM_SIZE 0x10000u
#define GUEST_TABLES 0x1000u
#define GUEST_PROGRAM 0x8000u
#define GUEST_PARAMETERS 0xa000u
#define GUEST_STACK 0xf000u
/// No memory there: a store is a signal.
#define GUEST_DOOR 0x10000000u
/// The second and the third GiB.
#define GUEST_WINDOW 0x40000000u
#define GUEST_BOARD 0x80000000u
#define GUEST_SLOT_MOST 0x40000000u

/// At GUEST_PARAMETERS; its address is in rdi throughout, the board's in rbx, the slot's in r8.
struct guest_parameters {
  uint64_t window;        ///< GUEST_WINDOW
  uint64_t first_entry;   ///< guest address of the first watched page's entry
  uint64_t first_seen;    ///< guest address of its cell of seen generations
  uint64_t first_page;    ///< its index
  uint64_t end_page;      ///< index behind the last
  uint64_t slot;          ///< number
  uint64_t rounds_left;   ///< wraps when it starts as 0
  uint64_t door;          ///< GUEST_DOOR or 0
  uint64_t door_every;    ///< rounds
  uint64_t door_left;     ///< rounds
  uint64_t epoch;         ///< of this round
  uint64_t magic;         ///< as seen
  uint64_t source;        ///< as seen: lisn, half
  uint64_t done;          ///< 1 once the rounds are done
};

/// The program, position-independent, and the part of it that touches the window: at a fault there it is
/// continued at `hole`.
extern const uint8_t charness_guest_program[], charness_guest_program_end[];
extern const uint8_t charness_guest_touch[], charness_guest_touch_end[], charness_guest_hole[];

/// The machine: one vCPU, and memory slots for RAM, window and board.
struct guest {
  int kvm, machine, cpu;
  uint8_t *ram;
  struct kvm_run *run;
  size_t run_size;
  struct guest_parameters *parameters;
  uint64_t window_length;
};

// guest_machine.c. A machine that could not be opened is closed all the same.
int guest_open(struct guest *guest);
int guest_load(
  struct guest *guest, const struct charness_mapping *mapping, struct charness_board *board,
  const struct charness_guest_options *options);
void guest_close(struct guest *guest);
