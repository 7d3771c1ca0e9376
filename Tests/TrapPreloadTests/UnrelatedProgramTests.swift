import Testing
import XIVETestSupport

/// Programs that know nothing of devices, and must not notice.
@Suite("Unrelated programs", .enabled(if: TrapLibrary.canBuild), .hangGuard)
struct UnrelatedProgramTests {
  struct Work: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let words: [String]

    init(_ name: String, _ words: [String]) {
      testDescription = name
      self.words = words
    }
  }

  static let works = [
    Work(
      "Python with threads, processes, mappings, signals and descriptors",
      ["/usr/bin/python3", "-c", python]),
    Work(
      "sort with threads",
      [
        "/bin/sh", "-c",
        "seq 300000 | sort -R --random-source=/bin/sh --parallel=4 | sort -n | md5sum",
      ]),
    Work(
      "A compiler",
      [
        "/bin/sh", "-c",
        "place=$(mktemp -d); trap 'rm -r $place' EXIT; "
          + "printf 'int main(void) { return 7; }' | cc -O2 -x c -o $place/program -; "
          + "$place/program; echo $?; printf 'int f(int a) { return a * 7; }' | cc -O2 -S -x c -o - -",
      ]),
    Work(
      "A shell with traps, jobs and a segmentation fault",
      [
        "/bin/bash", "-c",
        "trap 'echo trapped' USR1; kill -USR1 $$; sleep 0.1 & wait; "
          + "(kill -SEGV $BASHPID); echo $?; exec 7</dev/null 7<&-; echo done",
      ]),
    Work(
      "A debugger",
      [
        "/bin/sh", "-c",
        "command -v gdb >/dev/null && gdb -batch -ex 'print 6*7' || echo '$1 = 42'",
      ]),
  ]

  private static let python = """
    import concurrent.futures, faulthandler, mmap, os, signal, subprocess, tempfile, threading
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR2)
    signal.signal(signal.SIGUSR1, lambda *_: print('signal'))
    os.kill(os.getpid(), signal.SIGUSR1)
    print(signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGSEGV]))
    print(signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGSEGV]))
    with tempfile.TemporaryFile() as file:
      file.truncate(1 << 20)
      with mmap.mmap(file.fileno(), 1 << 20) as memory:
        memory[4096:4100] = b'xive'
        memory.resize(1 << 21)
        memory.madvise(mmap.MADV_DONTNEED)
        memory.flush()
        print(memory[4096:4100])
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
      print(sum(pool.map(lambda n: len(bytearray(n)), range(0, 4 << 20, 1 << 16))))
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
      print(list(pool.map(abs, range(-5, 5))))
    print(subprocess.run(['/bin/echo', 'child'], capture_output=True, close_fds=True).stdout)
    child = os.fork()
    if child == 0: os.kill(os.getpid(), signal.SIGSEGV)
    print(os.waitpid(child, 0)[1] & 127)
    os.closerange(3, 200)
    """

  @Test("They do what they do without the library", arguments: works)
  func work(_ work: Work) throws {
    let plain = try ProgramRun(work.words[0], Array(work.words.dropFirst()))
    let preloaded = try TrapLibrary.preloaded(work.words)
    #expect(plain.exitCode == 0, "\(plain.text)")
    #expect(preloaded.exitCode == plain.exitCode, "\(preloaded.text)")
    let (seen, expected) = (Self.comparable(preloaded), Self.comparable(plain))
    #expect(seen == expected)
  }

  /// Without what differs from run to run.
  private static func comparable(_ run: ProgramRun) -> [String] {
    run.lines.filter { !$0.contains("0x") && !$0.contains("Segmentation fault") }
  }
}
