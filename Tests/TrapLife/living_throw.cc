// Exceptions out of handlers, as C++ programs with -fnon-call-exceptions make them.
#include "living.h"

#include <stdexcept>
#include <string>

namespace {

struct Fault : std::runtime_error {
  Fault(int number, void *address) : std::runtime_error("fault"), number(number), address(address) {}
  int number;
  void *address;
};

int destroyed;
struct Counted {
  ~Counted() { destroyed++; }
};

// The thread's mask stays as the handler's: it blocks nothing.
void raise_exception(int number, siginfo_t *info, void *) { throw Fault(number, info->si_addr); }

__attribute__((noinline)) uint64_t load(volatile uint64_t *address) {
  Counted counted;
  return *address;
}

void expect_exceptions(int number, volatile uint64_t *address, window &shown) {
  uint64_t before = blocked_signals();
  destroyed = 0;
  for (int i = 0; i < 100; i++) {
    bool is_caught = false;
    try {
      load(address + i);
    } catch (const Fault &fault) {
      EXPECT(fault.number == number && fault.address == (void *)(address + i));
      is_caught = true;
    }
    EXPECT(is_caught);
    EXPECT_EQUAL(shown.words[i], word_of(static_cast<size_t>(i)));
  }
  EXPECT_EQUAL(destroyed, 100);
  EXPECT_EQUAL(blocked_signals(), before);
}

void from_bus_error() {
  handle(SIGBUS, raise_exception, SA_SIGINFO | SA_NODEFER, 0);
  window shown = window_make(2);
  NEED(ftruncate(shown.fd, PAGE_BYTES) == 0);
  expect_exceptions(SIGBUS, shown.words + 512, shown);
}

void from_chained_fault() {
  handle(SIGSEGV, raise_exception, SA_SIGINFO | SA_NODEFER, 0);
  window shown = window_make(1);
  expect_exceptions(SIGSEGV, static_cast<volatile uint64_t *>(forbidden_page()), shown);
}

void from_below_signal_stack() {
  signal_stack(4 * 8192);
  from_chained_fault();
}

}  // namespace

extern "C" const test_case cases_throw[] = {
  {"throw-bus-error", from_bus_error},
  {"throw-chained", from_chained_fault},
  {"throw-below-signal-stack", from_below_signal_stack},
  {nullptr, nullptr}};
