// What a place shows, kept until the kernel has agreed to a change: in the table as well, where no address of this
// processor can be.
#include "internal.h"

static uintptr_t aside(uintptr_t address) { return address | (uintptr_t)1 << 62; }

int trap_put_aside(uintptr_t start, uintptr_t end, bool stays) {
  return trap_table_move(start, end - start, aside(start), end - start, stays);
}

void trap_bring_back(uintptr_t start, uintptr_t end) {
  trap_table_move(aside(start), end - start, start, end - start, false);
}

void trap_forget_aside(uintptr_t start, uintptr_t end) { trap_table_remove(aside(start), aside(end)); }
