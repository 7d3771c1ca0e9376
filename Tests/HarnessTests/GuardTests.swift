import CHarness
import Glibc
import Testing
import XIVETestSupport

@Suite(
  "Faults that are not the watcher's", .enabled(if: Requirement.canFault),
  .hangGuard)
struct GuardTests {
  /// Runs a round-less watcher on one thread and something else on another.
  private static func besideWatcher(_ body: @escaping @Sendable (Rig) -> Void) throws {
    let rig = try Rig()
    rig.announce(generation: 1)
    try rig.write(generation: 1)
    Threads.run(2) { index in
      if index == 0 {
        rig.watch(rounds: 0)
      } else {
        _ = rig.awaitRound(of: 1)
        body(rig)
        rig.stop()
      }
    }
  }

  @Test("A fault of another thread ends the process as if nobody watched")
  func otherThread() async {
    await #expect(processExitsWith: .signal(SIGSEGV)) {
      signal(SIGSEGV, SIG_DFL)
      try Self.besideWatcher { _ in
        unsafe UnsafeRawPointer(bitPattern: 0x10)?.load(as: UInt8.self) == 0 ? _exit(2) : _exit(3)
      }
    }
  }

  @Test("A signal that was sent ends the process as if nobody watched")
  func sent() async {
    await #expect(processExitsWith: .signal(SIGBUS)) {
      signal(SIGBUS, SIG_DFL)
      try Self.besideWatcher { _ in raise(SIGBUS) }
    }
  }

  @Test("A handler that was there before gets what is not the watcher's, and its place back")
  func previousHandler() async {
    await #expect(processExitsWith: .exitCode(7)) {
      var action = sigaction()
      unsafe action.__sigaction_handler.sa_handler = { _ in _exit(7) }
      unsafe sigaction(SIGBUS, &action, nil)
      try Self.besideWatcher { _ in raise(SIGBUS) }
    }
    await #expect(processExitsWith: .exitCode(8)) {
      var action = sigaction()
      unsafe action.__sigaction_handler.sa_handler = { _ in _exit(8) }
      unsafe sigaction(SIGSEGV, &action, nil)
      try Self.besideWatcher { _ in }
      var now = sigaction()
      unsafe sigaction(SIGSEGV, nil, &now)
      if now.sa_flags & SA_SIGINFO != 0 { _exit(1) }
      raise(SIGSEGV)
    }
  }

  @Test("Several threads fault at once, each for itself, and both at once in one mapping")
  func severalThreads() throws {
    let rig = try Rig(pages: 4, slots: 3)
    rig.truncate(beforePage: 0)
    Threads.run(3) { index in rig.watch(slot: UInt32(index), rounds: 500) }
    for slot in 0..<3 as Range<UInt32> {
      #expect(rig.count(CHARNESS_FAULTS, slot: slot) == 2000)
      #expect(rig.count(CHARNESS_READS, slot: slot) == 0)
    }
    #expect(rig.violations == 0)
  }
}
