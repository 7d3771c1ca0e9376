// Which load or store an instruction is.
#include "instruction.h"

#if defined __x86_64__
#include "system.h"

#include <Zydis/Zydis.h>
#include <asm/prctl.h>
#include <string.h>
#include <sys/auxv.h>

// As ZydisDecoderInit() makes one for 64-bit code. The modes are of instructions that are refused in any case.
static const ZydisDecoder decoder = {
  .machine_mode = ZYDIS_MACHINE_MODE_LONG_64, .stack_width = ZYDIS_STACK_WIDTH_64};

enum { OPERANDS = 3, HAS_FSGSBASE = 1 << 1 };

struct instruction {
  ZydisDecodedInstruction head;
  ZydisDecodedOperand operands[OPERANDS];
  const ZydisDecodedOperand *memory;
  uint8_t memory_index;
};

// MARK: - Registers

// The number of a general register; TRAP_NO_REGISTER for any other.
static unsigned number_of(ZydisRegister name) {
  if (name >= ZYDIS_REGISTER_RAX && name <= ZYDIS_REGISTER_R15) return name - ZYDIS_REGISTER_RAX;
  if (name >= ZYDIS_REGISTER_EAX && name <= ZYDIS_REGISTER_R15D) return name - ZYDIS_REGISTER_EAX;
  if (name >= ZYDIS_REGISTER_AX && name <= ZYDIS_REGISTER_R15W) return name - ZYDIS_REGISTER_AX;
  if (name >= ZYDIS_REGISTER_AL && name <= ZYDIS_REGISTER_BL) return name - ZYDIS_REGISTER_AL;
  if (name >= ZYDIS_REGISTER_AH && name <= ZYDIS_REGISTER_BH)
    return name - ZYDIS_REGISTER_AH + TRAP_HIGH_BYTES;
  if (name >= ZYDIS_REGISTER_SPL && name <= ZYDIS_REGISTER_R15B) return name - ZYDIS_REGISTER_SPL + 4;
  return TRAP_NO_REGISTER;
}

// All 64 bits, but of ah to bh moved down to bit 0.
static uint64_t general_register(unsigned number, const mcontext_t *context) {
  uint64_t value = context->gregs[trap_place(number)];
  return number >= TRAP_HIGH_BYTES ? value >> 8 : value;
}

// The context has two of the selectors; signals leave the others as they are.
static uint64_t segment_selector(ZydisRegister name, const mcontext_t *context) {
  uint16_t selector = 0;
  switch (name) {
    case ZYDIS_REGISTER_CS: return context->gregs[REG_CSGSFS] & 0xffff;
    case ZYDIS_REGISTER_SS: return (uint64_t)context->gregs[REG_CSGSFS] >> 48;
    case ZYDIS_REGISTER_DS: __asm__("mov %%ds, %0" : "=r"(selector)); break;
    case ZYDIS_REGISTER_ES: __asm__("mov %%es, %0" : "=r"(selector)); break;
    case ZYDIS_REGISTER_FS: __asm__("mov %%fs, %0" : "=r"(selector)); break;
    case ZYDIS_REGISTER_GS: __asm__("mov %%gs, %0" : "=r"(selector)); break;
    default: break;
  }
  return selector;
}

// MARK: - Addresses

// Signals leave the bases of fs and gs as they are, too. The other segments begin at 0.
static uint64_t segment_base(ZydisRegister segment) {
  if (segment != ZYDIS_REGISTER_FS && segment != ZYDIS_REGISTER_GS) return 0;
  bool is_fs = segment == ZYDIS_REGISTER_FS;
  uint64_t base = 0;
  if (!(getauxval(AT_HWCAP2) & HAS_FSGSBASE))
    trap_system(SYS_arch_prctl, is_fs ? ARCH_GET_FS : ARCH_GET_GS, (long)&base, 0, 0, 0, 0);
  else if (is_fs)
    __asm__ volatile("rdfsbase %0" : "=r"(base));
  else
    __asm__ volatile("rdgsbase %0" : "=r"(base));
  return base;
}

static uint64_t address_register(ZydisRegister name, uint64_t next, const mcontext_t *context) {
  if (name == ZYDIS_REGISTER_RIP || name == ZYDIS_REGISTER_EIP) return next;
  unsigned number = number_of(name);
  return number == TRAP_NO_REGISTER ? 0 : general_register(number, context);
}

// Whether the bytes name no base register but a displacement of 32 bits in its place, whatever REX.B says. Zydis 4.0.0
// takes r13d for the base if the address has 32 bits, and drops the displacement.
static bool has_no_base(const ZydisDecodedInstruction *head) {
  return (head->attributes & ZYDIS_ATTRIB_HAS_SIB) && head->raw.modrm.mod == 0 && head->raw.sib.base == 5;
}

static uint64_t effective_address(const struct instruction *instruction, const mcontext_t *context) {
  const ZydisDecodedOperandMem *memory = &instruction->memory->mem;
  const ZydisDecodedInstruction *head = &instruction->head;
  uint64_t next = context->gregs[REG_RIP] + head->length;
  uint64_t address = address_register(memory->index, next, context) * memory->scale;
  if (has_no_base(head))
    address += head->raw.disp.value;
  else
    address += address_register(memory->base, next, context) + memory->disp.value;
  // The base of a segment comes after the wrap of an address of 32 bits.
  if (head->address_width == 32) address = (uint32_t)address;
  return address + segment_base(memory->segment);
}

// MARK: - Loads

static uint8_t condition_of(const struct instruction *instruction) {
  return instruction->head.opcode & 15;
}

// Whether a load's value is only compared with something: no register is written.
static bool is_comparison(enum trap_operation operation) {
  return operation == TRAP_COMPARE || operation == TRAP_COMPARE_MEMORY || operation == TRAP_TEST
    || operation == TRAP_BIT_TEST;
}

// The value of an operand that is not memory; false for a register that is no general one.
static bool value_of(
  const ZydisDecodedOperand *operand, const mcontext_t *context, uint64_t *value) {
  if (operand->type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
    *value = operand->imm.value.u;
    return true;
  }
  if (operand->type != ZYDIS_OPERAND_TYPE_REGISTER) return false;
  unsigned number = number_of(operand->reg.value);
  if (number == TRAP_NO_REGISTER) return false;
  *value = general_register(number, context);
  return true;
}

static enum trap_verdict describe_load(
  const struct instruction *instruction, enum trap_operation operation, const mcontext_t *context,
  struct trap_access *access) {
  bool is_first = instruction->memory_index == 0;
  const ZydisDecodedOperand *target = is_comparison(operation) ? NULL : &instruction->operands[0];
  // To memory it would be a load and a store; imul of one operand writes two registers.
  if (target != NULL && is_first) return TRAP_REFUSED;
  // Of three operands the last is the immediate; of two, one is memory.
  bool has_three = instruction->head.operand_count_visible == 3;
  const ZydisDecodedOperand *other = &instruction->operands[has_three ? 2 : is_first];
  // A bit's number in a register may reach beyond the operand.
  if (operation == TRAP_BIT_TEST && other->type != ZYDIS_OPERAND_TYPE_IMMEDIATE) return TRAP_REFUSED;
  if (!value_of(other, context, &access->operand)) return TRAP_REFUSED;
  access->operation = operation == TRAP_COMPARE && is_first ? TRAP_COMPARE_MEMORY : operation;
  access->condition = condition_of(instruction);
  access->target = target == NULL ? TRAP_NO_REGISTER : number_of(target->reg.value);
  access->width = (target == NULL ? instruction->memory : target)->size / 8;
  return TRAP_PERFORM;
}

// MARK: - Stores

static enum trap_verdict describe_store(
  const struct instruction *instruction, bool is_swapped, const mcontext_t *context,
  struct trap_access *access) {
  const ZydisDecodedOperand *source = &instruction->operands[1];
  uint64_t value = 0;
  if (source->type == ZYDIS_OPERAND_TYPE_REGISTER
      && ZydisRegisterGetClass(source->reg.value) == ZYDIS_REGCLASS_SEGMENT)
    value = segment_selector(source->reg.value, context);
  else if (!value_of(source, context, &value))
    return TRAP_REFUSED;
  if (is_swapped) value = __builtin_bswap64(value) >> (64 - instruction->memory->size);
  access->is_store = true;
  memcpy(access->bytes, &value, sizeof access->bytes);
  return TRAP_PERFORM;
}

// MARK: - Instructions

static enum trap_verdict describe(
  const struct instruction *instruction, const mcontext_t *context, struct trap_access *access) {
  bool is_store = instruction->memory_index == 0;
  switch (instruction->head.mnemonic) {
    case ZYDIS_MNEMONIC_MOV:
      if (is_store) return describe_store(instruction, false, context, access);
      return describe_load(instruction, TRAP_MOVE, context, access);
    case ZYDIS_MNEMONIC_MOVBE:
      if (is_store) return describe_store(instruction, true, context, access);
      return describe_load(instruction, TRAP_MOVE_SWAPPED, context, access);
    case ZYDIS_MNEMONIC_MOVZX: return describe_load(instruction, TRAP_MOVE, context, access);
    case ZYDIS_MNEMONIC_MOVSX:
    case ZYDIS_MNEMONIC_MOVSXD: return describe_load(instruction, TRAP_MOVE_SIGNED, context, access);
    case ZYDIS_MNEMONIC_CMOVO:
    case ZYDIS_MNEMONIC_CMOVNO:
    case ZYDIS_MNEMONIC_CMOVB:
    case ZYDIS_MNEMONIC_CMOVNB:
    case ZYDIS_MNEMONIC_CMOVZ:
    case ZYDIS_MNEMONIC_CMOVNZ:
    case ZYDIS_MNEMONIC_CMOVBE:
    case ZYDIS_MNEMONIC_CMOVNBE:
    case ZYDIS_MNEMONIC_CMOVS:
    case ZYDIS_MNEMONIC_CMOVNS:
    case ZYDIS_MNEMONIC_CMOVP:
    case ZYDIS_MNEMONIC_CMOVNP:
    case ZYDIS_MNEMONIC_CMOVL:
    case ZYDIS_MNEMONIC_CMOVNL:
    case ZYDIS_MNEMONIC_CMOVLE:
    case ZYDIS_MNEMONIC_CMOVNLE: return describe_load(instruction, TRAP_MOVE_IF, context, access);
    case ZYDIS_MNEMONIC_ADD: return describe_load(instruction, TRAP_ADD, context, access);
    case ZYDIS_MNEMONIC_OR: return describe_load(instruction, TRAP_OR, context, access);
    case ZYDIS_MNEMONIC_ADC: return describe_load(instruction, TRAP_ADC, context, access);
    case ZYDIS_MNEMONIC_SBB: return describe_load(instruction, TRAP_SBB, context, access);
    case ZYDIS_MNEMONIC_AND: return describe_load(instruction, TRAP_AND, context, access);
    case ZYDIS_MNEMONIC_SUB: return describe_load(instruction, TRAP_SUB, context, access);
    case ZYDIS_MNEMONIC_XOR: return describe_load(instruction, TRAP_XOR, context, access);
    case ZYDIS_MNEMONIC_CMP: return describe_load(instruction, TRAP_COMPARE, context, access);
    case ZYDIS_MNEMONIC_TEST: return describe_load(instruction, TRAP_TEST, context, access);
    case ZYDIS_MNEMONIC_IMUL: return describe_load(instruction, TRAP_MULTIPLY, context, access);
    case ZYDIS_MNEMONIC_BT: return describe_load(instruction, TRAP_BIT_TEST, context, access);
    default: return TRAP_REFUSED;
  }
}

// Finds the one explicit operand in memory.
static bool find_memory(struct instruction *instruction) {
  for (uint8_t i = 0; i < instruction->head.operand_count_visible; i++) {
    const ZydisDecodedOperand *operand = &instruction->operands[i];
    if (operand->type != ZYDIS_OPERAND_TYPE_MEMORY || operand->mem.type != ZYDIS_MEMOP_TYPE_MEM) continue;
    if (instruction->memory != NULL) return false;
    instruction->memory = operand;
    instruction->memory_index = i;
  }
  return instruction->memory != NULL;
}

static bool is_repeated(const ZydisDecodedInstruction *head) {
  for (uint8_t i = 0; i < head->raw.prefix_count; i++)
    if (head->raw.prefixes[i].value == 0xf2 || head->raw.prefixes[i].value == 0xf3) return true;
  return false;
}

static enum trap_verdict judge(
  const struct instruction *instruction, const mcontext_t *context, struct trap_access *access) {
  const ZydisDecodedInstruction *head = &instruction->head;
  // xchg with memory is locked without the prefix.
  if (head->mnemonic == ZYDIS_MNEMONIC_XCHG || (head->attributes & ZYDIS_ATTRIB_HAS_LOCK))
    return TRAP_BUS_ERROR;
  if (is_repeated(head) || head->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY) return TRAP_REFUSED;
  return describe(instruction, context, access);
}

void trap_decode(
  const uint8_t *code, size_t count, const mcontext_t *context, struct trap_access *access) {
  struct instruction instruction = {.memory = NULL};
  ZydisDecoderContext state;
  *access = (struct trap_access){.verdict = TRAP_REFUSED, .target = TRAP_NO_REGISTER};
  ZydisDecodedInstruction *head = &instruction.head;
  ZyanStatus status = ZydisDecoderDecodeInstruction(&decoder, &state, code, count, head);
  if (status == ZYDIS_STATUS_NO_MORE_DATA) access->verdict = TRAP_TRUNCATED;
  if (ZYAN_FAILED(status)) return;
  access->length = head->length;
  if (head->operand_count_visible > OPERANDS) return;
  status = ZydisDecoderDecodeOperands(
    &decoder, &state, head, instruction.operands, head->operand_count_visible);
  if (ZYAN_FAILED(status) || !find_memory(&instruction)) return;
  access->address = effective_address(&instruction, context);
  access->size = instruction.memory->size / 8;
  access->verdict = judge(&instruction, context, access);
}
#else
void trap_decode(
  const uint8_t *code, size_t count, const mcontext_t *context, struct trap_access *access) {
  (void)code;
  (void)count;
  (void)context;
  *access = (struct trap_access){.verdict = TRAP_REFUSED};
}
#endif
