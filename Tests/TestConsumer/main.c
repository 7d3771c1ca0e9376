// The command table and the loop: a line in, a line out.
#include "consumer.h"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { most_words = 32 };

static bool leaving;
static int exit_code;

static command_handler do_pid, do_name, do_sleep, do_exit, do_help;

static const struct command {
  const char *name;
  int least, most;  // arguments
  command_handler *handler;
  const char *help;
} commands[] = {
  {"open", 3, 3, do_open, "D PATH ro|wo|rw[,direct][,nonblock][,trunc]"},
  {"memfd", 3, 3, do_memfd, "D SIZE none|shrink|grow|write|future-write|huge[,...]"},
  {"eventfd", 3, 3, do_eventfd, "D COUNT plain|semaphore|nonblock"},
  {"raise", 2, 2, do_raise, "D COUNT"},
  {"take", 1, 1, do_take, "D"},
  {"duplicate", 2, 2, do_duplicate, "D D2"},
  {"number", 1, 1, do_number, "D"},
  {"close", 1, 1, do_close, "D"},
  {"stat", 1, 1, do_stat, "D"},
  {"map", 6, 9, do_map,
   "M D OFFSET LENGTH none|r|w|rw shared|private [ADDRESS_OF M2 OFFSET]"},
  {"trap", 5, 5, do_trap, "M D OFFSET LENGTH r|rw"},
  {"unmap", 1, 3, do_unmap, "M [OFFSET LENGTH]"},
  {"remap", 3, 3, do_remap, "M OLDLENGTH NEWLENGTH"},
  {"protect", 4, 4, do_protect, "M OFFSET LENGTH none|r|w|rw"},
  {"advise", 4, 4, do_advise,
   "M OFFSET LENGTH random|dontneed|willneed|hugepage|populate-read|populate-write"},
  {"resident", 3, 3, do_resident, "M OFFSET LENGTH"},
  {"present", 3, 3, do_present, "M OFFSET LENGTH"},
  {"load", 3, 3, do_load, "M OFFSET SIZE"},
  {"store", 4, 4, do_store, "M OFFSET SIZE VALUE"},
  {"await", 5, 5, do_await, "M OFFSET SIZE VALUE MILLISECONDS"},
  {"bytes", 3, 3, do_bytes, "M OFFSET LENGTH"},
  {"lend", 3, 3, do_lend, "M OFFSET LENGTH"},
  {"time", 4, 4, do_time, "load M OFFSET SIZE"},
  {"msync", 4, 4, do_msync, "M OFFSET LENGTH sync|async"},
  {"fsync", 1, 1, do_fsync, "D"},
  {"syncrange", 3, 3, do_syncrange, "D OFFSET LENGTH"},
  {"drop", 3, 3, do_drop, "D OFFSET LENGTH"},
  {"pread", 3, 3, do_pread, "D OFFSET LENGTH"},
  {"pwrite", 3, 3, do_pwrite, "D OFFSET HEX"},
  {"seek", 3, 3, do_seek, "D OFFSET data|hole"},
  {"poll", 3, 3, do_poll, "D EVENT[,EVENT...] MILLISECONDS (in, out, pri, err, hup)"},
  {"epoll-add", 2, 2, do_epoll_add, "D EVENT[,EVENT...] (in, out, pri, edge, oneshot)"},
  {"epoll-wait", 1, 1, do_epoll_wait, "MILLISECONDS"},
  {"held-epoll", 1, 1, do_held_epoll, "D"},
  {"collect", 5, 5, do_collect, "D OFFSET TOTAL MILLISECONDS level|edge"},
  {"ioctl", 3, 3, do_ioctl, "D REQUEST HEX|-"},
  {"ioctl-value", 3, 3, do_ioctl_value, "D REQUEST VALUE"},
  {"attr", 4, 5, do_attr, "D set|get|has GROUP ATTR HEX|null|bad|page:M:OFFSET"},
  {"inline", 5, 5, do_inline, "D set|get GROUP ATTR HEX"},
  {"flags", 5, 5, do_flags, "D FLAGS GROUP ATTR HEX"},
  {"irqfd", 4, 5, do_irqfd, "D LISN EVENT|none|=NUMBER RESAMPLE|none|=NUMBER [FLAGS]"},
  {"connect", 3, 3, do_connect, "D DEVICE|none|=NUMBER SERVER"},
  {"line", 3, 4, do_line, "D LISN LEVEL [status]"},
  {"message", 5, 5, do_message, "D ADDRESS DATA FLAGS DEVICE"},
  {"register", 4, 4, do_register, "D get|set ID HEX|bad"},
  {"traffic-start", 4, 5, do_traffic_start,
   "PATH FIRST_LISN FIRST_SERVER PATIENCE_MILLISECONDS [reset]"},
  {"traffic-halt", 2, 2, do_traffic_halt, "PATH copy|same"},
  {"traffic-transfer", 0, 0, do_traffic_transfer, ""},
  {"traffic-connect", 0, 0, do_traffic_connect, ""},
  {"traffic-late", 0, 0, do_traffic_late, ""},
  {"traffic-join", 0, 0, do_traffic_join, ""},
  {"traffic-end", 0, 0, do_traffic_end, ""},
  {"chaos", 5, 5, do_chaos, "PATH FIRST_LISN COUNT MILLISECONDS SEED"},
  {"fuzz", 6, 6, do_fuzz, "PATH PROCESSES MILLISECONDS SEED gentle|all FIRST_LISN"},
  {"crowd-open", 2, 2, do_crowd_open, "PATH COUNT"},
  {"crowd-wait", 2, 2, do_crowd_wait, "COUNT MILLISECONDS"},
  {"crowd-take", 0, 0, do_crowd_take, ""},
  {"fork", 0, 0, do_fork, ""},
  {"child", 1, most_words - 1, do_child, "COMMAND..."},
  {"reap", 0, 0, do_reap, ""},
  {"threads", 7, 7, do_threads, "N COUNT load|store M OFFSET STRIDE SIZE"},
  {"contend", 6, 6, do_contend, "N COUNT M TRIGGER_OFFSET PAGE_SIZE SEED"},
  {"hammer", 5, 5, do_hammer, "N MILLISECONDS pread|pwrite D OFFSET"},
  {"trigger-burst", 4, 4, do_burst, "N COUNT D TRIGGER_OFFSET"},
  {"intr-storm", 5, 5, do_storm, "MILLISECONDS M OFFSET STRIDE COUNT"},
  {"pid", 0, 0, do_pid, ""},
  {"name", 1, 1, do_name, "TEXT"},
  {"sleep", 1, 1, do_sleep, "MILLISECONDS"},
  {"exit", 1, 1, do_exit, "CODE"},
  {"help", 0, 0, do_help, ""},
};
enum { command_count = sizeof commands / sizeof *commands };

static bool do_pid(int count, char **arguments) {
  (void)count, (void)arguments;
  answer("ok %d", (int)getpid());
  return true;
}

static bool do_name(int count, char **arguments) {
  (void)count;
  return answer_result(prctl(PR_SET_NAME, arguments[0]));
}

static bool do_sleep(int count, char **arguments) {
  (void)count;
  uint64_t milliseconds;
  if (!parse_numbers(arguments, 1, &milliseconds)) return false;
  sleep_nanoseconds(milliseconds * 1000000);
  answer("ok");
  return true;
}

static bool do_exit(int count, char **arguments) {
  (void)count;
  uint64_t code;
  if (!parse_numbers(arguments, 1, &code)) return false;
  if (code > 255) return refuse("0 to 255");
  exit_code = (int)code;
  leaving = true;
  answer("ok");
  return true;
}

static void print_help(const char *separator) {
  for (int i = 0; i < command_count; i++)
    fprintf(output, "%s%s%s%s", i ? separator : "", commands[i].name,
            *commands[i].help ? " " : "", commands[i].help);
}

// One line, as every answer.
static bool do_help(int count, char **arguments) {
  (void)count, (void)arguments;
  fputs("ok ", output);
  print_help("; ");
  answer("%s", "");
  return true;
}

static void interpret(char *line) {
  char *words[most_words + 1], *rest = line, *word;
  int count = 0;
  while ((word = strsep(&rest, " \t\r\n")))
    if (*word && count <= most_words) words[count++] = word;
  for (int i = 0; count > 0 && i < command_count; i++) {
    const struct command *command = &commands[i];
    if (strcmp(words[0], command->name)) continue;
    bool arity = count - 1 >= command->least && count - 1 <= command->most;
    if (arity && command->handler(count - 1, words + 1)) {
      refusal();  // of an alternative that was not needed
      return;
    }
    const char *why = refusal();
    answer("usage %s%s%s%s%s%s", command->name, *command->help ? " " : "", command->help,
           *why ? " (" : "", why, *why ? ")" : "");
    return;
  }
  answer("usage %s", count ? "unknown command; try help" : "a command a line; try help");
}

int main(int argc, char **argv) {
  output = stdout;
  if (argc > 2 && strcmp(argv[1], "--apart") == 0) return run_apart(argv + 2);
  if (argc > 1) {
    bool wanted = argc == 2 && strcmp(argv[1], "--help") == 0;
    output = wanted ? stdout : stderr;
    print_help("\n");
    answer("%s", "");
    return wanted ? 0 : 2;
  }
  signal(SIGPIPE, SIG_IGN);  // a child that died is an answer, not an end
  catch_faults();
  char *line = NULL;
  size_t capacity = 0;
  while (!leaving && getline(&line, &capacity, stdin) > 0) {
    interpret(line);
    fflush(output);
  }
  free(line);
  return exit_code;
}
