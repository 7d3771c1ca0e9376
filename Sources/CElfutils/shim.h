#pragma once
/// What names an address in a running process: libdwfl of elfutils, whose callbacks Swift cannot say.
#include <elfutils/libdwfl.h>
#include <stdint.h>
#include <string.h>

/// Starts a session about a process; NULL when there is no memory.
static inline Dwfl *celfutils_begin(void) {
  // Separate files of debug information are looked for where distributions put them, never on the network.
  static const Dwfl_Callbacks callbacks = {
    .find_elf = dwfl_linux_proc_find_elf,
    .find_debuginfo = dwfl_build_id_find_debuginfo,
  };
  return dwfl_begin(&callbacks);
}

/// Learns what a process has mapped, in place of what was known before; 0, or another number. Files are opened when an
/// address in them is asked for.
static inline int celfutils_learn(Dwfl *session, int process) {
  dwfl_report_begin(session);
  int result = dwfl_linux_proc_report(session, process);
  int ended = dwfl_report_end(session, NULL, NULL);
  return result ? result : ended;
}

/// What an address is: a symbol and the distance from it, or a file and the distance from where it was loaded.
struct celfutils_place {
  const char *symbol, *file;
  uint64_t symbol_distance, file_distance;
};

/// Finds what is at an address; 0 when nothing is mapped there. The texts live as long as the session, and until it
/// learns again.
static inline int celfutils_find(Dwfl *session, uint64_t address, struct celfutils_place *place) {
  memset(place, 0, sizeof *place);
  Dwfl_Module *module = dwfl_addrmodule(session, address);
  if (!module) return 0;
  Dwarf_Addr start = 0;
  place->file = dwfl_module_info(module, NULL, &start, NULL, NULL, NULL, NULL, NULL);
  place->file_distance = address - start;
  GElf_Sym symbol;
  GElf_Off distance = 0;
  place->symbol = dwfl_module_addrinfo(module, address, &distance, &symbol, NULL, NULL, NULL);
  place->symbol_distance = distance;
  return 1;
}
