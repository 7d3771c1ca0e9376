internal import Glibc
import SystemCalls
import Testing
import XIVETestSupport

@Suite(
  "Mailboxes of a served device", .enabled(if: Requirement.canMount), .serialized, .hangGuard)
struct MailboxTests {
  /// The server looks for posts only where the client can run beside it.
  private static let hasProcessors = Requirement.check(
    MonotonicClock.processorCount > 1, "one processor: nobody is awake beside the client")

  /// Compiles the client's half with the tests of it, and runs one of them on a server of its own.
  private func expectContent(
    _ command: String, confined: Bool = false, _ location: SourceLocation = #_sourceLocation
  ) throws {
    let directory = try TemporaryDirectory()
    let program = directory.path + "/mailbox"
    let root = Built.sourceRoot
    let includes = ["CXIVE/include", "CTrap/include", "CTrap"].map { "-I\(root)/Sources/\($0)" }
    let compiled = try CommandResult(
      [Requirement.path(of: "cc") ?? "cc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror"]
        + includes + ["-o", program, root + "/Tests/EndToEndTests/mailbox.c", "-lpthread"])
    try #require(compiled.exitCode == 0, "\(compiled.errors)")
    let one = confined ? ["/usr/bin/taskset", "-c", Self.firstProcessor] : []
    let served = try ServedDevice(
      ["--sources", "64", "--create", "0-63", "--tick", "0", "--max-vcpus", "8"],
      program: one + ServedDevice.xive)
    let words = one + [program, command, served.path, "\(served.processID)"]
    let run = try ProgramRun(words[0], Array(words.dropFirst()), within: 300_000)
    #expect(run.exitCode == 0, "\(command): \(run.text)\(served.errors)", sourceLocation: location)
  }

  /// A processor that this process may run on.
  private static var firstProcessor: String {
    let answer = try? CommandResult(["/usr/bin/taskset", "-cp", "\(getpid())"])
    let list = answer?.output.first?.split(separator: " ").last ?? "0"
    return String(list.prefix { $0.isNumber })
  }

  @Test(
    "An access by mail is what the system call is: every size, region, register and right",
    .enabled(if: hasProcessors))
  func equal() throws { try expectContent("equal") }

  @Test("So it is on one processor, where nobody waits for a server that cannot run")
  func confined() throws { try expectContent("confined", confined: true) }

  @Test("It acts on the vCPU of its descriptor", .enabled(if: hasProcessors))
  func vcpus() throws { try expectContent("vcpus") }

  @Test("More threads than slots: each load finds what the one before has set")
  func threads() throws { try expectContent("threads") }

  @Test(
    "A child of fork() makes system calls, one of vfork() may use it, exec() ends it",
    .enabled(if: hasProcessors))
  func fork() throws { try expectContent("fork") }

  @Test(
    "Clients that write anything anywhere harm nobody, and change nothing without permission",
    .enabled(if: hasProcessors))
  func hostile() throws { try expectContent("hostile") }

  @Test(
    "A server that is late is waited for, one that is stopped is not; one that dies is an error"
  )
  func killed() throws { try expectContent("killed") }

  @Test("Nothing is performed after the last close", .enabled(if: hasProcessors))
  func closed() throws { try expectContent("closed") }

  @Test(
    "What is no mailbox is refused, and one more than there is room for",
    .enabled(if: hasProcessors))
  func refused() throws { try expectContent("refused") }

  @Test("An exact access comes after the stores to mappings before it", .enabled(if: hasProcessors))
  func mapped() throws { try expectContent("mapped") }

  @Test(
    "It leaves the record of the thread that waits, and none under another's name",
    .enabled(if: hasProcessors))
  func traced() throws { try expectContent("traced") }
}
