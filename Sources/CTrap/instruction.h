// What decode.c tells complete.c of an instruction, and the registers that both name by number.
#pragma once
#include "internal.h"

#if defined __x86_64__
// What becomes of the value that a load brings; `access->operand` is the other value of an operation of two.
enum trap_operation {
  TRAP_NOTHING,  // a store
  TRAP_MOVE,
  TRAP_MOVE_SIGNED,
  TRAP_MOVE_SWAPPED,
  TRAP_MOVE_IF,  // access->condition, as the low four bits of the opcode have it
  // The operand first, memory's value second.
  TRAP_ADD,
  TRAP_OR,
  TRAP_ADC,
  TRAP_SBB,
  TRAP_AND,
  TRAP_SUB,
  TRAP_XOR,
  TRAP_COMPARE,
  // Memory's value first.
  TRAP_COMPARE_MEMORY,
  TRAP_TEST,
  TRAP_MULTIPLY,
  TRAP_BIT_TEST,
};

// Numbers of registers are the processor's: rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8 to r15. Behind them:
enum {
  TRAP_HIGH_BYTES = 16,  // ah, ch, dh, bh
  TRAP_NO_REGISTER = 20,
};

// Where the context has a register.
static inline int trap_place(unsigned number) {
  static const uint8_t places[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                     REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
  return places[number & 15];
}
#endif
