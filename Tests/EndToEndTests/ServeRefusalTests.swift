import Testing
import XIVETestSupport

@Suite("Where nothing can be served", .enabled(if: Requirement.canMount), .hangGuard)
struct ServeRefusalTests {
  /// Runs `xive serve` where it must fail, and gives its one line.
  private func refusal(_ words: [String], exitCode: Int32 = 69) throws -> String {
    let result = try CommandResult(words)
    #expect(result.exitCode == exitCode)
    #expect(result.output == [])
    #expect(result.errors.count == 1, "\(result.errors)")
    return result.errors.first ?? ""
  }

  private let serve = [Built.path("xive"), "serve"]

  @Test("A directory, a FIFO, a device node and a path that leads nowhere are refused by name")
  func paths() throws {
    let directory = try TemporaryDirectory()
    #expect(try refusal(serve + [directory.path]).contains("\(directory.path): is a directory"))
    let fifo = directory.path + "/fifo"
    #expect(try CommandResult(["mkfifo", fifo]).exitCode == 0)
    #expect(try refusal(serve + [fifo]).contains("\(fifo): is not a regular file"))
    #expect(try refusal(serve + ["/dev/null"]).contains("/dev/null: is not a regular file"))
    let nowhere = directory.path + "/missing/device"
    #expect(try refusal(serve + [nowhere]).contains("\(nowhere): No such file or directory"))
    let through = fifo + "/device"
    #expect(try refusal(serve + [through]).contains("\(through): Not a directory"))
    let long = directory.path + "/" + String(repeating: "x", count: 300)
    #expect(try refusal(serve + [long]).contains("File name too long"))
    #expect(try refusal(serve + [""]).contains("xive: "))
  }

  @Test("A path with another file system on it is busy, and that stays mounted")
  func busy() throws {
    let directory = try TemporaryDirectory()
    let file = directory.path + "/file"
    let mounted = try CommandResult.shell(": > \"$1\"; mount --bind /etc/hostname \"$1\"", file)
    try #require(mounted.exitCode == 0, "\(mounted.errors)")
    #expect(try refusal(serve + [file]).contains("\(file): busy, a file system of type "))
    #expect(try CommandResult(["umount", file]).exitCode == 0)
  }

  @Test("A path through links is the file that they lead to")
  func links() throws {
    let directory = try TemporaryDirectory()
    let made = try CommandResult.shell(": > \"$1/real\"; ln -s real \"$1/link\"", directory.path)
    try #require(made.exitCode == 0)
    let script = "ln -s '\(directory.path)/real' \"$0\"; exec \(serve[0]) serve \"$0\""
    var first = try ServedDevice(program: ["/bin/sh", "-ec", script])
    #expect(
      try refusal(serve + [directory.path + "/link"]).contains("/real: is being served already"))
    #expect(
      try refusal(serve + [directory.path + "/real"]).contains("/real: is being served already"))
    #expect(first.stop() == 0)
    #expect(try CommandResult(["stat", "-c", "%s", directory.path + "/real"]).output == ["0"])
  }

  @Test(
    "Without /dev/fuse, or without the right to open it, the reason and the remedy are said",
    arguments: [
      (":", "/dev/fuse: not there: load the kernel's fuse module"),
      ("mknod /dev/fuse c 10 254", "/dev/fuse: not there: load the kernel's fuse module"),
      (
        "mount -o remount,nodev /dev; mknod /dev/fuse c 10 229",
        "/dev/fuse: Permission denied: run as root"
      ),
      ("mkdir /dev/fuse", "/dev/fuse: Is a directory"),
    ])
  func noFuse(_ preparation: String, _ reason: String) throws {
    let directory = try TemporaryDirectory()
    let script = "mount -t tmpfs none /dev; \(preparation); exec \"$@\""
    let line = try refusal(
      ["unshare", "-m", "/bin/sh", "-ec", script, "sh"] + serve + [directory.path + "/device"])
    #expect(line.contains(reason), "\(line)")
  }

  @Test("A user who may not open /dev/fuse is told so")
  func nobody() throws {
    // Elsewhere the node is open to all, and a build directory may be closed to others.
    let asNobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    let question = "! test -r /dev/fuse && test -x \"$0\""
    let applies = try CommandResult(asNobody + ["/bin/sh", "-c", question, serve[0]])
    guard applies.exitCode == 0 else { return }
    let line = try refusal(asNobody + serve + ["/tmp/xive-nobody"])
    #expect(line.contains("/dev/fuse: Permission denied: run as root, or let this user open it"))
  }

  @Test(
    "Wrong usage is exit 64, with the reason and nothing mounted",
    arguments: [
      (["--sources", "0"], "--sources: 0 is out of range: 1 to 1048576"),
      (["--sources", "1048577"], "--sources: 1048577 is out of range: 1 to 1048576"),
      (["--sources", "many"], "many"), (["--sources", "4294967296"], "4294967296"),
      (["--max-vcpus", "0"], "--max-vcpus: 0 is out of range: 1 to 16384"),
      (["--max-vcpus", "16385"], "16385"),
      (["--esb-pages", "3"], "--esb-pages: 3 is out of range: 1 to 2"),
      (["--page-size", "16k"], "16k"), (["--page-size", "4096"], "4096"),
      (["--tick", "1001"], "--tick: 1001 is out of range: 0 to 1000"), (["--tick=-1"], "-1"),
      (["--tick", "soon"], "soon"),
      (["--threads", "1"], "--threads: 1 is out of range: 2 to 64"), (["--threads", "65"], "65"),
      (["--create", "8192"], "beyond the device's 8192 sources"),
      (["--sources", "16", "--create", "0-16"], "beyond the device's 16 sources"),
      (["--create", "5-"], "'5-': '' is no number"), (["--create", "-5"], "Missing value"),
      (["--create", "9-5"], "the first number is above the last"),
      (["--create", "1-2-3"], "a range has two ends"),
      (["--create", "1:edge"], "only ':lsi' may stand behind"),
      (["--create", "0x"], "'0x' is no number"), (["--create", ""], "'' is no number"),
      (["--create", "4294967296"], "beyond any device"), (["--unknown"], "--unknown"),
      (["--phb", "0"], "two or three numbers"), (["--phb", "0:1:2:3"], "two or three numbers"),
      (["--phb", "1024:1"], "PHB 1024 is beyond 1023"), (["--phb", "0:"], "'' is no number"),
      (["--phb", "0:0"], "a PHB has 1 to 65536 interrupts"),
      (["--phb", "0:65536:1"], "a PHB has 1 to 65536 interrupts"),
      (["--phb", "0:18446744073709551615:1"], "a PHB has 1 to 65536 interrupts"),
      (["--phb", "3:1", "--phb", "0x3:2"], "PHB 3 is plugged already"),
      (["--sabotage", "none"], "write zap-first or skip-alias"),
      (["two"], "two"),
    ])
  func usage(_ options: [String], _ reason: String) throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/device"
    let result = try CommandResult(serve + [path] + options)
    #expect(result.exitCode == 64)
    #expect(result.output == [])
    #expect(result.errors.joined(separator: "\n").contains(reason), "\(result.errors)")
    #expect(try CommandResult(["test", "-e", path]).exitCode == 1, "nothing was created")
  }

  @Test("Without a path it is wrong usage")
  func noPath() throws {
    #expect(try CommandResult(serve).exitCode == 64)
  }
}
