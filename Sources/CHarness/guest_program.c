// The guest's program: the watcher's loop in 64-bit mode, without stack frames, calls to C or interrupts.
#if defined __x86_64__
#include "guest.h"

#include "xive.h"

#define TEXT_OF(value) #value
#define TEXT(value) TEXT_OF(value)

// Offsets as the assembler needs them, checked against the structures.
#define OFFSET(name, structure, member, value)                                                     \
  _Static_assert(offsetof(struct structure, member) == (value), "offset in the program below");    \
  __asm__(".set " #name ", " TEXT(value));

OFFSET(board_command, charness_board, command, 128)
OFFSET(board_epoch, charness_board, epoch, 136)
OFFSET(page_floor, charness_page, floor, 0)
OFFSET(page_presence, charness_page, presence, 8)
OFFSET(page_at, charness_page, offset, 16)
OFFSET(page_source, charness_page, lisn, 32)
OFFSET(page_ring, charness_page, ring, 64)
OFFSET(ring_server, charness_ring_entry, backing, 8)
OFFSET(ring_hwirq, charness_ring_entry, hwirq, 16)
OFFSET(slot_first_kind, charness_slot, first_kind, 12)
OFFSET(slot_epoch, charness_slot, epoch, 16)
OFFSET(slot_heartbeat, charness_slot, heartbeat, 24)
OFFSET(slot_counters, charness_slot, counters, 32)
OFFSET(slot_first, charness_slot, first, 168)
OFFSET(first_page_index, charness_violation, page, 4)
OFFSET(first_slot, charness_violation, slot, 8)
OFFSET(first_floor, charness_violation, floor, 16)
OFFSET(first_seen_sight, charness_violation, seen, 32)
OFFSET(first_expected, charness_violation, expected, 80)
OFFSET(sight_generation, charness_sight, generation, 8)
OFFSET(sight_source, charness_sight, lisn, 24)
OFFSET(sight_server, charness_sight, backing, 32)
OFFSET(sight_hwirq, charness_sight, hwirq, 40)
OFFSET(signature_source, xive_page_signature, lisn, 8)
OFFSET(signature_server, xive_page_signature, backing, 16)
OFFSET(signature_hwirq, xive_page_signature, hwirq, 24)
OFFSET(signature_generation, xive_page_signature, generation, 32)
OFFSET(p_window, guest_parameters, window, 0)
OFFSET(p_first_entry, guest_parameters, first_entry, 8)
OFFSET(p_first_seen, guest_parameters, first_seen, 16)
OFFSET(p_first_page, guest_parameters, first_page, 24)
OFFSET(p_end_page, guest_parameters, end_page, 32)
OFFSET(p_slot, guest_parameters, slot, 40)
OFFSET(p_rounds_left, guest_parameters, rounds_left, 48)
OFFSET(p_door, guest_parameters, door, 56)
OFFSET(p_door_every, guest_parameters, door_every, 64)
OFFSET(p_door_left, guest_parameters, door_left, 72)
OFFSET(p_epoch, guest_parameters, epoch, 80)
OFFSET(p_magic, guest_parameters, magic, 88)
OFFSET(p_source, guest_parameters, source, 96)
OFFSET(p_done, guest_parameters, done, 104)
_Static_assert(sizeof(struct charness_page) == 256 && sizeof(struct charness_ring_entry) == 24 &&
                 CHARNESS_RING == 8 && XIVE_SIGNATURE_OFFSET == 0xfc0,
               "numbers in the program below");
_Static_assert(CHARNESS_RUN == 1 && CHARNESS_MUST_BE_HOLE == 1 && CHARNESS_MUST_NOT_BE_HOLE == 2 &&
                 CHARNESS_STALE == 1 && CHARNESS_BACKWARD == 2 && CHARNESS_WRONG_PAGE == 3 &&
                 CHARNESS_UNSIGNED == 4 && CHARNESS_UNEXPECTED_HOLE == 5 &&
                 CHARNESS_UNEXPECTED_PAGE == 6,
               "numbers in the program below");
_Static_assert(CHARNESS_READS == 0 && CHARNESS_FAULTS == 1 && CHARNESS_TORN == 3 &&
                 CHARNESS_CHANGES == 4 && CHARNESS_UNJUDGED == 5 && CHARNESS_STALE_COUNT == 10,
               "numbers in the program below");

// x86 keeps loads in order and stores in order (Intel SDM volume 3, "Memory Ordering"): the order below is the
// order of the rules in charness.h.
//
// rdi parameters, rbx board, r8 slot; per page: r9 entry, r10 cell of seen generations, r11 index, r13 floor,
// r14 presence; as seen: r15 generation, rbp generation again (later + 1), rcx backing and phb, rdx hwirq,
// p_magic, p_source; rax ring entry or 0; rsi scratch, and the kind of a violation.
__asm__(R"(
  .pushsection .rodata.charness_guest, "a"
  .intel_syntax noprefix
  .code64
  .balign 16
  .globl charness_guest_program, charness_guest_program_end
  .globl charness_guest_touch, charness_guest_touch_end, charness_guest_hole
  .hidden charness_guest_program, charness_guest_program_end
  .hidden charness_guest_touch, charness_guest_touch_end, charness_guest_hole
charness_guest_program:
1:                                      # a round
  cmp dword ptr [rbx + board_command], 1
  jne 90f
  mov rax, [rbx + board_epoch]
  mov [rdi + p_epoch], rax
  mov r9, [rdi + p_first_entry]
  mov r10, [rdi + p_first_seen]
  mov r11, [rdi + p_first_page]
2:                                      # a page: its floor first
  mov r13, [r9 + page_floor]
  mov r14, [r9 + page_presence]
  mov rsi, [r9 + page_at]
  add rsi, [rdi + p_window]
  add rsi, 0xfc0
charness_guest_touch:
  mov r15, [rsi + signature_generation]
  mov rax, [rsi]
  mov r12, [rsi + signature_source]
  mov rcx, [rsi + signature_server]
  mov rdx, [rsi + signature_hwirq]
  mov rbp, [rsi + signature_generation]
charness_guest_touch_end:
  inc qword ptr [r8 + slot_counters + 8 * 0]
  bswap rax                             # registers are big-endian
  bswap r12
  ror r12, 32                           # two words, the first of them low, as they lie in the board
  bswap rcx
  ror rcx, 32
  bswap rdx
  shr rdx, 32
  bswap r15
  bswap rbp
  mov [rdi + p_magic], rax
  mov [rdi + p_source], r12
  mov rsi, r14                          # a page where a hole must be, all the time
  and esi, 3
  cmp esi, 1
  jne 3f
  cmp [r9 + page_presence], r14
  jne 3f
  xor eax, eax
  mov esi, 6
  call 80f
3:                                      # a signature
  movabs rsi, 0x5849564550414745
  cmp [rdi + p_magic], rsi
  je 4f
  xor eax, eax
  mov esi, 4
  call 80f
  jmp 70f
4:                                      # its age
  xor eax, eax
  cmp r15, r13
  jae 5f
  mov esi, 1
  call 80f
5:
  cmp r15, rbp
  je 6f
  inc qword ptr [r8 + slot_counters + 8 * 3]
  jmp 70f
6:
  inc rbp
  mov r12, [r10]
  mov [r10], rbp
  test r12, r12
  jz 8f
  cmp r12, rbp
  je 8f
  inc qword ptr [r8 + slot_counters + 8 * 4]
  cmp rbp, r12
  ja 8f
  cmp r15, r13                          # stale says it already
  jb 8f
  mov esi, 2
  call 80f
8:                                      # its identity
  mov rax, r15
  and eax, 7
  lea rax, [rax + 2 * rax]
  lea rax, [r9 + 8 * rax + page_ring]
  cmp [rax], rbp
  je 9f
  ja 10f
  xor eax, eax                          # nobody announced it
  mov esi, 3
  call 80f
  jmp 70f
9:
  cmp rcx, [rax + ring_server]
  jne 11f
  cmp edx, [rax + ring_hwirq]
  jne 11f
  mov rsi, [rdi + p_source]
  cmp rsi, [r9 + page_source]
  je 70f
11:                                     # unless the entry was overwritten meanwhile
  cmp [rax], rbp
  jne 10f
  mov esi, 3
  call 80f
  jmp 70f
10:
  inc qword ptr [r8 + slot_counters + 8 * 5]
70:                                     # the next page
  add r9, 256
  add r10, 8
  inc r11
  cmp r11, [rdi + p_end_page]
  jne 2b
  inc qword ptr [r8 + slot_heartbeat]
  mov rax, [rdi + p_epoch]
  mov [r8 + slot_epoch], rax
  mov rax, [rdi + p_door]
  test rax, rax
  jz 71f
  dec qword ptr [rdi + p_door_left]
  jnz 71f
  mov rcx, [rdi + p_door_every]
  mov [rdi + p_door_left], rcx
  mov dword ptr [rax], ecx              # 4 bytes, as the ioeventfd wants them
71:
  dec qword ptr [rdi + p_rounds_left]
  jnz 1b
  mov qword ptr [rdi + p_done], 1
90:                                     # not told to run, or done
  hlt
  jmp 1b
charness_guest_hole:                    # where a fault of the touch continues
  inc qword ptr [r8 + slot_counters + 8 * 1]
  mov rsi, r14
  and esi, 3
  cmp esi, 2
  jne 70b
  cmp [r9 + page_presence], r14
  jne 70b
  xor eax, eax
  xor ecx, ecx
  xor edx, edx
  xor r15d, r15d
  mov [rdi + p_magic], rax
  mov [rdi + p_source], rax
  mov esi, 5
  call 80f
  jmp 70b
80:                                     # reports kind esi; expected is ring entry rax, or 0
  inc qword ptr [r8 + 8 * rsi + slot_counters + 8 * 9]
  cmp dword ptr [r8 + slot_first_kind], 0
  jne 82f
  push rbx
  mov [r8 + slot_first], esi
  mov [r8 + slot_first + first_page_index], r11d
  mov ebx, [rdi + p_slot]
  mov [r8 + slot_first + first_slot], ebx
  mov [r8 + slot_first + first_floor], r13
  mov rbx, [rdi + p_magic]
  mov [r8 + slot_first + first_seen_sight], rbx
  mov [r8 + slot_first + first_seen_sight + sight_generation], r15
  mov rbx, [rdi + p_source]
  mov [r8 + slot_first + first_seen_sight + sight_source], rbx
  mov [r8 + slot_first + first_seen_sight + sight_server], rcx
  mov [r8 + slot_first + first_seen_sight + sight_hwirq], edx
  test rax, rax
  jz 81f
  mov [r8 + slot_first + first_expected + sight_generation], r15
  mov rbx, [r9 + page_source]
  mov [r8 + slot_first + first_expected + sight_source], rbx
  mov rbx, [rax + ring_server]
  mov [r8 + slot_first + first_expected + sight_server], rbx
  mov ebx, [rax + ring_hwirq]
  mov [r8 + slot_first + first_expected + sight_hwirq], ebx
81:
  pop rbx
  mov [r8 + slot_first_kind], esi
82:
  ret
charness_guest_program_end:
  .att_syntax prefix
  .popsection
)");
#endif
