// What is said of an instruction that cannot be performed. No stdio: it would allocate and lock.
#include "internal.h"

#if defined __x86_64__
#include "system.h"

#include <Zydis/Zydis.h>
#include <string.h>

// A line that is being written; what does not fit is left out, the line's end is kept.
struct line {
  char text[384];
  size_t length;
};

static void add(struct line *line, const char *text) {
  while (*text != 0 && line->length < sizeof line->text - 1) line->text[line->length++] = *text++;
}

static void add_digits(struct line *line, uint64_t value, unsigned digits) {
  char text[17] = {0};
  for (unsigned i = 0; i < digits; i++) text[i] = "0123456789abcdef"[value >> 4 * (digits - 1 - i) & 15];
  add(line, text);
}

static void add_number(struct line *line, uint64_t value) {
  unsigned digits = 1;
  while (digits < 16 && value >> 4 * digits != 0) digits++;
  add(line, "0x");
  add_digits(line, value, digits);
}

static ZydisFormatter formatter;
static atomic_bool has_formatter;

// Made once, for stacks of signals are small.
static __attribute__((noinline)) void make_formatter(void) {
  ZydisFormatter made;
  ZydisFormatterInit(&made, ZYDIS_FORMATTER_STYLE_INTEL);
  // How much would be accessed; addresses as the rest of the line has them.
  ZydisFormatterSetProperty(&made, ZYDIS_FORMATTER_PROP_FORCE_SIZE, ZYAN_TRUE);
  ZydisFormatterSetProperty(&made, ZYDIS_FORMATTER_PROP_HEX_UPPERCASE, ZYAN_FALSE);
  ZydisFormatterSetProperty(&made, ZYDIS_FORMATTER_PROP_ADDR_PADDING_ABSOLUTE, ZYDIS_PADDING_DISABLED);
  memcpy(&formatter, &made, sizeof formatter);
  atomic_store_explicit(&has_formatter, true, memory_order_release);
}

// Returns how many bytes the instruction has, 0 for what is none.
static size_t add_disassembly(
  struct line *line, const uint8_t *code, size_t count, uint64_t instruction_pointer) {
  ZydisDecoder decoder;
  ZydisDecoderContext state;
  ZydisDecodedInstruction head;
  ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT_VISIBLE];
  ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
  if (ZYAN_FAILED(ZydisDecoderDecodeInstruction(&decoder, &state, code, count, &head))) return 0;
  ZydisDecoderDecodeOperands(&decoder, &state, &head, operands, head.operand_count_visible);
  char *end = line->text + line->length;
  size_t room = sizeof line->text - line->length;
  ZyanStatus status = ZydisFormatterFormatInstruction(
    &formatter, &head, operands, head.operand_count_visible, end, room, instruction_pointer, NULL);
  if (ZYAN_FAILED(status)) return 0;
  line->length += strlen(end);
  return head.length;
}

// 'or qword ptr [rdi], 0x01' (48 83 0f 01)
static void add_instruction(
  struct line *line, const uint8_t *code, size_t count, uint64_t instruction_pointer) {
  if (!atomic_load_explicit(&has_formatter, memory_order_acquire)) make_formatter();
  size_t before = line->length;
  add(line, "'");
  size_t length = add_disassembly(line, code, count, instruction_pointer);
  if (length == 0) {
    line->length = before;
    add(line, "what is no instruction");
    length = count;
  } else {
    add(line, "'");
  }
  for (size_t i = 0; i < length; i++) {
    add(line, i == 0 ? " (" : " ");
    add_digits(line, code[i], 2);
  }
  add(line, length == 0 ? "" : ")");
}

void trap_report_prepare(void) {
  static const uint8_t locked[] = {0xf0, 0x48, 0x83, 0x44, 0xcf, 0x08, 0x01};  // lock add qword ptr [rdi+rcx*8+8], 1
  struct line line = {.length = 0};
  add_instruction(&line, locked, sizeof locked, 0);
}

static void print(struct line *line) {
  line->text[line->length++] = '\n';
  trap_system(SYS_write, 2, (long)line->text, (long)line->length, 0, 0, 0);
}

void trap_report(
  const struct trap_access *access, const uint8_t *code, size_t count, uint64_t instruction_pointer,
  uint64_t address, uint64_t offset) {
  struct line line = {.length = 0};
  bool is_locked = access->verdict == TRAP_BUS_ERROR;
  add(&line, "xive: trapped window: ");
  add(&line, is_locked ? "the bus refuses the locked operation " : "cannot perform ");
  add_instruction(&line, code, count, instruction_pointer);
  add(&line, " at ");
  add_number(&line, instruction_pointer);
  add(&line, ", which accesses ");
  add_number(&line, address);
  add(&line, " (device offset ");
  add_number(&line, offset);
  add(&line, "): use a plain load or store of 1, 2, 4 or 8 bytes");
  print(&line);
}

void trap_report_hidden(uint64_t instruction_pointer, uint64_t address) {
  struct line line = {.length = 0};
  add(&line, "xive: trapped window: a breakpoint hides the instruction at ");
  add_number(&line, instruction_pointer);
  add(&line, ", which accesses ");
  add_number(&line, address);
  add(&line, " and is of no file that can be read: use a hardware breakpoint (gdb: hbreak)");
  print(&line);
}
#else
void trap_report(
  const struct trap_access *access, const uint8_t *code, size_t count, uint64_t instruction_pointer,
  uint64_t address, uint64_t offset) {
  (void)access;
  (void)code;
  (void)count;
  (void)instruction_pointer;
  (void)address;
  (void)offset;
}
#endif
