#define _GNU_SOURCE
#include "csystem.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

// The alternate screen without a cursor, and back; as xterm's ctlseqs.ms and console_codes(4) have them.
static const char enter_text[] = "\033[?1049h\033[?25l";
static const char leave_text[] = "\033[0m\033[?25h\033[?1049l";

static const int fatal[] = {
  SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGABRT, SIGFPE,
};

// One terminal a process; what the handler needs, set before it can run.
static struct termios usual;
static int input = -1, output = -1;
static atomic_flag is_left = ATOMIC_FLAG_INIT;

void csystem_leave_screen(void) {
  if (output < 0 || atomic_flag_test_and_set(&is_left)) return;
  int error = errno;
  ssize_t ignored = write(output, leave_text, sizeof leave_text - 1);
  (void)ignored;
  // Both calls may be made in a handler: signal-safety(7).
  tcsetattr(input, TCSADRAIN, &usual);
  errno = error;
}

// The default action follows, for SA_RESETHAND has brought it back: the caller of this process sees which signal it was.
static void leave_and_die(int number) {
  csystem_leave_screen();
  raise(number);
}

static void wake(int number) { (void)number; }

int csystem_enter_screen(int from, int to) {
  if (tcgetattr(from, &usual) < 0) return -errno;
  input = from;
  output = to;
  struct sigaction action = {.sa_handler = leave_and_die, .sa_flags = SA_RESETHAND | SA_NODEFER};
  for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++) sigaction(fatal[i], &action, NULL);
  // A change of the size ends a wait, no more.
  struct sigaction resized = {.sa_handler = wake};
  sigaction(SIGWINCH, &resized, NULL);
  struct termios raw = usual;
  // Output is left as it is, so that what others print stays readable.
  raw.c_iflag &= ~(tcflag_t)(ICRNL | IXON);
  raw.c_lflag &= ~(tcflag_t)(ECHO | ICANON | ISIG | IEXTEN);
  raw.c_cc[VMIN] = 0;
  raw.c_cc[VTIME] = 0;
  if (tcsetattr(input, TCSADRAIN, &raw) < 0) {
    int error = -errno;
    output = -1;
    return error;
  }
  ssize_t written = write(output, enter_text, sizeof enter_text - 1);
  return written < 0 ? -errno : 0;
}

int csystem_screen_size(int fd, int *columns, int *rows) {
  struct winsize size;
  if (ioctl(fd, TIOCGWINSZ, &size) < 0) return -errno;
  *columns = size.ws_col;
  *rows = size.ws_row;
  return 0;
}
