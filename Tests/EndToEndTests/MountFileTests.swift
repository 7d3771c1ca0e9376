import Testing
import XIVETestSupport

@Suite("The device as a file", .enabled(if: Requirement.canMount), .hangGuard)
struct MountFileTests {
  @Test("It is a regular file of 4 EiB whose block is a device page", arguments: ["4k", "64k"])
  func status(_ pageSize: String) throws {
    let device = try ServedDevice(["--page-size", pageSize])
    var consumer = try Consumer(opening: device.path)
    let block = pageSize == "4k" ? 4_096 : 65_536
    #expect(
      try consumer.expect("stat 0").hasPrefix("size=4611686018427387904 blksize=\(block) ino=1 "))
    let status = try CommandResult(["stat", "-c", "%F", device.path])
    #expect(status.output == ["regular file"] || status.output == ["regular empty file"])
  }

  @Test(
    "What would change the file is refused, and no page that is mapped is lost",
    arguments: [
      "truncate -s 0 \"$1\"", "truncate -s 4096 \"$1\"", "truncate -s 8E \"$1\"",
      ": > \"$1\"", "fallocate -l 8192 \"$1\"", "fallocate -p -o 0 -l 1048576 \"$1\"",
      "chmod 0644 \"$1\"", "chown 1 \"$1\"", "rm \"$1\"", "mv \"$1\" \"$1.moved\"",
      "setfattr -n user.x -v 1 \"$1\" || python3 -c 'import os,sys; os.setxattr(sys.argv[1],\"user.x\",b\"1\")' \"$1\"",
    ])
  func refused(_ script: String) throws {
    let device = try ServedDevice(["--create", "0"])
    var consumer = try Consumer(opening: device.path)
    try consumer.map(0, at: triggerPage(0), 0x2000)
    _ = try consumer.mapped(0, 0)
    #expect(try consumer.mapped(0, 0x1800) == 1)
    let fills = try consumer.counters().fills
    let before = try consumer.expect("stat 0")
    let result = try CommandResult.shell(script, device.path)
    #expect(result.exitCode != 0, "\(script)")
    #expect(!result.errors.isEmpty)
    #expect(try consumer.expect("stat 0") == before)
    #expect(try consumer.ask("open 1 \(device.path) rw,trunc").hasPrefix("errno EINVAL"))
    _ = try consumer.mapped(0, 0)
    try consumer.setPQ(0, 2)
    #expect(try consumer.await(0, 0x1800, 2))
    #expect(try consumer.counters().fills == fills)
  }

  @Test("touch and sync are fine and change nothing")
  func touch() throws {
    let device = try ServedDevice(["--create", "0"])
    var consumer = try Consumer(opening: device.path)
    try consumer.map(0, at: managementPage(0), 0x1000)
    _ = try consumer.mapped(0, 0)
    let fills = try consumer.counters().fills
    for words in [["touch"], ["touch", "-d", "2001-02-03"], ["sync"], ["sync", "-d"]] {
      let result = try CommandResult(words + [device.path])
      #expect(result.exitCode == 0, "\(words): \(result.errors)")
    }
    try consumer.expect("fsync 0")
    _ = try consumer.mapped(0, 0)
    #expect(try consumer.counters().fills == fills)
  }

  @Test("SEEK_DATA and SEEK_HOLE list exactly the segments that exist")
  func segments() throws {
    let device = try ServedDevice(["--sources", "64", "--create", "0-3", "--create", "10"])
    var consumer = try Consumer(opening: device.path)
    var found: [Range<UInt64>] = []
    var position: UInt64 = 0
    while let start = try consumer.seek(position, "data"), found.count < 20 {
      let end = try #require(try consumer.seek(start, "hole"))
      found.append(start..<end)
      position = end
    }
    var expected: [Range<UInt64>] = [0x2000..<0x3000]
    for window in [kernelAlias(triggerPage(0)), triggerPage(0)] {
      expected.append(window..<window + 0x8000)
      expected.append(window + 0x14000..<window + 0x16000)
    }
    #expect(found == expected)
    #expect(try consumer.seek(0x5123, "data") == 0x5123)
    #expect(try consumer.seek(0x100, "hole") == 0x100)
    #expect(try consumer.seek(1 << 61, "hole") == 1 << 61)
    #expect(try consumer.ask("seek 0 \(1 << 62) data").hasPrefix("errno ENXIO"))
    try consumer.expect("attr 0 set 2 4 0000000000000000")
    #expect(try consumer.seek(kernelAlias(triggerPage(0)), "hole") == 0xe000)
  }

  @Test("An unknown request is ENOTTY, and one of KVM's is known on every descriptor")
  func requests() throws {
    let device = try ServedDevice(["--create", "0"])
    var consumer = try Consumer(opening: device.path, "ro")
    #expect(try consumer.ask("ioctl 0 0x5401 -").hasPrefix("errno ENOTTY"), "isatty")
    #expect(try consumer.ask("ioctl 0 0xc0015800 00").hasPrefix("errno ENOTTY"))
    #expect(try consumer.ask("ioctl 0 0xcfff5801 00").hasPrefix("errno ENOTTY"))
    try consumer.expect("attr 0 has 2 0")
    #expect(try consumer.ask("attr 0 get 0x50 0 bad").hasPrefix("errno EFAULT"))
  }

  @Test(
    "A user without permission opens nothing; one with permission uses the device",
    arguments: ["0600", "0660", "0666", "0604"])
  func permissions(_ mode: String) throws {
    let script = """
      chmod 755 "${1%/*}"; : > "$1"; chmod \(mode) "$1"; exec \(Built.path("xive")) serve "$@"
      """
    let device = try ServedDevice(
      ["--create", "0"], program: ["/bin/sh", "-ec", script, "sh"])
    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "dd"]
    let read = try CommandResult(
      nobody + ["if=\(device.path)", "iflag=direct", "bs=8", "count=1", "of=/dev/null"])
    #expect((read.exitCode == 0) == (mode.hasSuffix("6") || mode.hasSuffix("4")), "\(read.errors)")
    let store = try CommandResult(
      [
        "sh", "-c", "printf 12345678 | \"$@\"", "sh",
      ] + nobody + [
        "of=\(device.path)", "oflag=direct,seek_bytes", "conv=notrunc", "bs=8", "count=1",
        "seek=\(managementPage(0) + 0xe00)",
      ])
    #expect((store.exitCode == 0) == mode.hasSuffix("6"), "\(store.errors)")
    var consumer = try Consumer(opening: device.path)
    #expect(try consumer.pq(0) == (mode.hasSuffix("6") ? 2 : 1))
    let listed = try CommandResult(["stat", "-c", "%a", device.path])
    #expect(listed.output == [String(mode.dropFirst())])
  }
}

extension Consumer {
  /// Where the next data or hole begins, or nil when there is none.
  fileprivate mutating func seek(_ offset: UInt64, _ whence: String) throws -> UInt64? {
    let answer = try ask("seek 0 \(offset) \(whence)")
    return answer.hasPrefix("ok 0x") ? UInt64(answer.dropFirst(5), radix: 16) : nil
  }
}
