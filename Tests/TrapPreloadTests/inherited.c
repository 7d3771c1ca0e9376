// A program that was started with SIGSEGV blocked: inherited PATH
#include "rig.h"

int main(int count, char **values) {
  if (count != 2) return 64;
  open_device(values[1]);
  sigset_t mask, none;
  EXPECT(sigprocmask(SIG_BLOCK, NULL, &mask) == 0 && sigismember(&mask, SIGSEGV) == 1);
  EXPECT_WINDOWS(map_sources(NULL, 3, 2, 0), 3, 2);
  sigemptyset(&none);
  EXPECT(sigprocmask(SIG_SETMASK, &none, &mask) == 0 && sigismember(&mask, SIGSEGV) == 1);
  EXPECT(sigprocmask(SIG_BLOCK, NULL, &mask) == 0 && sigismember(&mask, SIGSEGV) == 0);
  return conclude();
}
