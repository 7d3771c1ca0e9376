// What a load leaves in the registers and flags.
#include "instruction.h"

#if defined __x86_64__
#include <string.h>

enum {
  CARRY = 1 << 0,
  PARITY = 1 << 2,
  ADJUST = 1 << 4,
  ZERO = 1 << 6,
  SIGN = 1 << 7,
  OVERFLOW = 1 << 11,
  LOW_STATUS = CARRY | PARITY | ADJUST | ZERO | SIGN,  // what lahf and sahf move
  STATUS = LOW_STATUS | OVERFLOW,
  RESUME = 1 << 16,
};

// MARK: - Operations, performed by the processor itself

// Executes an instruction of two registers with the status flags that `ax` brings in and takes back: ah as of sahf and
// lahf, and in al whether there is an overflow, which adding 0x7f makes of 1. No other flag of the program's is loaded.
#define EXECUTE(instruction) \
  __asm__("addb $0x7f, %%al\n\tsahf\n\t" instruction "\n\tlahf\n\tseto %%al" \
          : "+&a"(ax), "+r"(left) \
          : "r"(right) \
          : "cc")

#define EXECUTE_WIDER(name) \
  switch (width) { \
    case 2: EXECUTE(name "w %w2, %w1"); break; \
    case 4: EXECUTE(name "l %k2, %k1"); break; \
    default: EXECUTE(name "q %q2, %q1"); break; \
  }

#define EXECUTE_ANY(name) \
  if (width == 1) EXECUTE(name "b %b2, %b1"); \
  else EXECUTE_WIDER(name)

// The first operand as the operation leaves it.
static uint64_t operate(
  enum trap_operation operation, unsigned width, uint64_t left, uint64_t right, greg_t *flags) {
  uint32_t ax = (*flags & LOW_STATUS) << 8 | !!(*flags & OVERFLOW);
  switch (operation) {
    case TRAP_ADD: EXECUTE_ANY("add") break;
    case TRAP_OR: EXECUTE_ANY("or") break;
    case TRAP_ADC: EXECUTE_ANY("adc") break;
    case TRAP_SBB: EXECUTE_ANY("sbb") break;
    case TRAP_AND: EXECUTE_ANY("and") break;
    case TRAP_SUB: EXECUTE_ANY("sub") break;
    case TRAP_XOR: EXECUTE_ANY("xor") break;
    case TRAP_COMPARE:
    case TRAP_COMPARE_MEMORY: EXECUTE_ANY("cmp") break;
    case TRAP_TEST: EXECUTE_ANY("test") break;
    case TRAP_MULTIPLY: EXECUTE_WIDER("imul") break;
    case TRAP_BIT_TEST: EXECUTE_WIDER("bt") break;
    default: break;
  }
  *flags = (*flags & ~(greg_t)STATUS) | (ax >> 8 & LOW_STATUS) | (ax & 1 ? OVERFLOW : 0);
  return left;
}

// MARK: - Moves

// Whether a condition holds, as the low four bits of an opcode have it: the lowest says not.
static bool holds(uint8_t condition, greg_t flags) {
  bool is_less = !(flags & SIGN) != !(flags & OVERFLOW);
  bool result = false;
  switch (condition >> 1) {
    case 0: result = flags & OVERFLOW; break;
    case 1: result = flags & CARRY; break;
    case 2: result = flags & ZERO; break;
    case 3: result = flags & (CARRY | ZERO); break;
    case 4: result = flags & SIGN; break;
    case 5: result = flags & PARITY; break;
    case 6: result = is_less; break;
    case 7: result = is_less || (flags & ZERO); break;
  }
  return result != (condition & 1);
}

static uint64_t sign_extended(uint64_t value, unsigned size) {
  unsigned unused = 64 - 8 * size;
  return (uint64_t)((int64_t)(value << unused) >> unused);
}

static uint64_t swapped(uint64_t value, unsigned size) {
  return __builtin_bswap64(value) >> (64 - 8 * size);
}

// MARK: - Registers

// 8 and 16 bits leave the rest of a register alone, 32 bits clear it.
static void write_register(mcontext_t *context, unsigned number, unsigned width, uint64_t value) {
  greg_t *place = &context->gregs[trap_place(number)];
  uint64_t old = (uint64_t)*place;
  if (number >= TRAP_HIGH_BYTES)
    old = (old & ~UINT64_C(0xff00)) | (value & 0xff) << 8;
  else if (width == 1)
    old = (old & ~UINT64_C(0xff)) | (value & 0xff);
  else if (width == 2)
    old = (old & ~UINT64_C(0xffff)) | (value & 0xffff);
  else
    old = width == 4 ? (uint32_t)value : value;
  *place = (greg_t)old;
}

// What the target is to hold. `flags`: of the program.
static uint64_t result_of(const struct trap_access *access, uint64_t value, greg_t *flags) {
  switch (access->operation) {
    case TRAP_MOVE: return value;
    case TRAP_MOVE_SIGNED: return sign_extended(value, access->size);
    case TRAP_MOVE_SWAPPED: return swapped(value, access->size);
    // When the condition does not hold, too, 32 bits clear the upper half.
    case TRAP_MOVE_IF: return holds(access->condition, *flags) ? value : access->operand;
    default: break;
  }
  if (access->operation >= TRAP_COMPARE_MEMORY)
    return operate(access->operation, access->width, value, access->operand, flags);
  return operate(access->operation, access->width, access->operand, value, flags);
}

void trap_complete(
  const struct trap_access *access, const uint8_t bytes[8], mcontext_t *context) {
  if (access->operation != TRAP_NOTHING) {
    uint64_t value = 0;
    memcpy(&value, bytes, access->size);
    uint64_t result = result_of(access, value, &context->gregs[REG_EFL]);
    if (access->target != TRAP_NO_REGISTER) write_register(context, access->target, access->width, result);
  }
  context->gregs[REG_RIP] += access->length;
  context->gregs[REG_EFL] &= ~(greg_t)RESUME;
}
#else
void trap_complete(
  const struct trap_access *access, const uint8_t bytes[8], mcontext_t *context) {
  (void)access;
  (void)bytes;
  (void)context;
}
#endif
