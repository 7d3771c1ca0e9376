// One page of memory, and where instructions find it.
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { PAGE = 4096 };

// The page between two that cannot be touched: as memory that may only be read, as memory, and as a trapped window.
struct view {
  uint8_t *readable, *writable, *window;
};

struct stage {
  int memory;
  uint8_t *page;           // where a test looks at it
  struct view high, low;   // low: below 2^31
  uint8_t *code_end;       // instructions end here, before a page that cannot be touched
};

extern struct stage stage;

// `random` varies where the code lies.
void stage_start(uint64_t random);

// Shows the page at an address; NULL where that cannot be, mostly because something else is there.
uint8_t *stage_show(uint64_t address, int protection);
// Makes a trapped window of what is shown there, and nothing at all of that.
void stage_trap(uint8_t *shown);
void stage_hide(uint8_t *shown);
