// From a fault to one exact access.
#include "internal.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#if defined __x86_64__

enum { LONGEST_INSTRUCTION = 15, PAGE = 4096 };
// Of a page fault's error code; Intel SDM volume 3, "Page-Fault Exception".
enum { FAULT_WRITE = 1 << 1, FAULT_FETCH = 1 << 4 };

struct code {
  uint8_t bytes[LONGEST_INSTRUCTION];
  size_t count;
  bool is_hidden;  // by a breakpoint, in memory
};

// Of the page that the instruction begins in: the next one need not exist.
static struct code code_at(uint64_t address) {
  struct code code = {.count = PAGE - address % PAGE};
  if (code.count > LONGEST_INSTRUCTION) code.count = LONGEST_INSTRUCTION;
  memcpy(code.bytes, (const void *)address, code.count);
  return code;
}

// Of an instruction that has faulted, which int3 cannot: a debugger has put a breakpoint there since. False when the
// instruction cannot be found.
static bool reveal(struct code *code, uint64_t address) {
  enum { BREAKPOINT = 0xcc };
  code->is_hidden = code->bytes[0] == BREAKPOINT;
  return !code->is_hidden || trap_reveal(code->bytes, code->count, address);
}

static void decode(struct code *code, const mcontext_t *context, struct trap_access *access) {
  trap_decode(code->bytes, code->count, context, access);
  if (access->verdict != TRAP_TRUNCATED || code->count == LONGEST_INSTRUCTION) return;
  // It goes on in the next page, which has been fetched from.
  uint64_t next = (uint64_t)context->gregs[REG_RIP] + code->count;
  memcpy(code->bytes + code->count, (const void *)next, LONGEST_INSTRUCTION - code->count);
  code->count = LONGEST_INSTRUCTION;
  trap_decode(code->bytes, code->count, context, access);
}

static bool is_allowed(const struct trap_range *range, long error) {
  if ((error & FAULT_FETCH) != 0) return false;
  // Whatever may be written or executed may be read on this processor.
  return (range->protection & ((error & FAULT_WRITE) != 0 ? PROT_WRITE : PROT_READ | PROT_WRITE | PROT_EXEC)) != 0;
}

// Of one that crosses pages only a part may lie in the window.
static bool is_misaligned(const struct trap_access *access, const struct trap_range *range, uint64_t fault) {
  uint64_t last = access->address + access->size - 1;
  return (access->address != fault && access->address < fault && fault <= last) || last >= range->end;
}

// False when the device refuses it.
static bool perform(
  const struct trap_access *access, const struct trap_range *range, ucontext_t *context
) {
  uint8_t bytes[8];
  memcpy(bytes, access->bytes, sizeof bytes);
  uint64_t offset = range->offset + (access->address - range->start);
  long moved = trap_perform(range->device, access->is_store, offset, bytes, access->size);
  if (moved != access->size) {
    bool is_aligned = access->address % access->size == 0;
    trap_raise_bus_error(moved == -EINVAL && !is_aligned ? BUS_ADRALN : BUS_ADRERR, access->address, context);
    return false;
  }
  trap_complete(access, bytes, &context->uc_mcontext);
  return true;
}

// Handles a fault in a window. False when it is the program's own.
static bool handle(const struct trap_range *range, siginfo_t *info, ucontext_t *context) {
  mcontext_t *machine = &context->uc_mcontext;
  uint64_t fault = (uint64_t)info->si_addr;
  if (!is_allowed(range, machine->gregs[REG_ERR])) return false;
  struct code code = code_at((uint64_t)machine->gregs[REG_RIP]);
  if (!reveal(&code, (uint64_t)machine->gregs[REG_RIP])) {
    trap_report_hidden((uint64_t)machine->gregs[REG_RIP], fault);
    return false;
  }
  struct trap_access access;
  decode(&code, machine, &access);
  bool is_write = (machine->gregs[REG_ERR] & FAULT_WRITE) != 0;
  if (access.verdict == TRAP_PERFORM && is_misaligned(&access, range, fault)) {
    trap_raise_bus_error(BUS_ADRALN, fault, context);
    return true;
  }
  // What was decoded must be what the processor did.
  if (access.verdict == TRAP_PERFORM && (access.address != fault || access.is_store != is_write))
    access.verdict = TRAP_REFUSED;
  if (access.verdict == TRAP_PERFORM) {
    // A debugger that steps over the instruction waits for us at its beginning.
    if (perform(&access, range, context)) trap_finish_step(context, code.is_hidden && trap_is_traced());
    return true;
  }
  trap_report(&access, code.bytes, code.count, (uint64_t)machine->gregs[REG_RIP], fault,
              range->offset + (fault - range->start));
  if (access.verdict != TRAP_BUS_ERROR) return false;
  trap_raise_bus_error(BUS_OBJERR, fault, context);
  return true;
}

// The dynamic linker binds a function at its first call, with a lock and 3 KiB of stack: not in a handler.
void trap_prepare(void) {
  static const uint8_t store[32] = {0x64, 0x8c, 0x5c, 0xcf, 0x08};  // mov fs:[rdi+rcx*8+8], ds
  mcontext_t context = {0};
  context.gregs[REG_RIP] = (greg_t)store;
  struct code code = code_at((uint64_t)store);
  struct trap_access access;
  decode(&code, &context, &access);
  trap_report_prepare();
}

// What had been changed when this thread last missed a window.
static TRAP_THREAD uint64_t seen_changes;

bool trap_handle(siginfo_t *info, ucontext_t *context) {
  struct trap_range range;
  uint32_t access;
  // Sent by a process, without an address, or where nothing is mapped, as in a child that did not get the window.
  if (info->si_code != SEGV_ACCERR) return false;
  if (!trap_table_find((uint64_t)info->si_addr, &range, &access)) {
    // The window may have gone since the instruction was executed, or come: then it finds what is there now.
    return trap_has_changed(&seen_changes);
  }
  bool is_done = handle(&range, info, context);
  trap_read_end(&range.device->accesses, access);
  return is_done;
}

#endif
