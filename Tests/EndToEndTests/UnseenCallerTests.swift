import SystemCalls
import Testing
import XIVETestSupport

@Suite("Callers that the server cannot reach", .enabled(if: Requirement.canMount), .hangGuard)
struct UnseenCallerTests {
  /// How often a text stands in what a server has written: the log repeats a reason after ten seconds.
  private func lines(_ device: borrowing ServedDevice, with texts: String...) -> Int {
    device.errors.split(separator: "\n").count { line in texts.allSatisfy { line.contains($0) } }
  }

  private static let empty = String(repeating: "0", count: 64)

  @Test(
    "Memory that is not there, or that nobody may touch: EFAULT, and the log names the request that works"
  )
  func memory() throws {
    let device = try ServedDevice(["--create", "0-3"])
    var consumer = try Consumer(opening: device.path)
    try consumer.expect("memfd 1 8192 shrink")
    try consumer.expect("map 1 1 0 4096 none shared")
    try consumer.expect("map 2 1 0 4096 r shared")
    let start = MonotonicClock.nanoseconds
    for address in ["page:1:0", "page:1:4088", "bad", "null"] {
      for request in ["get 0x50 0", "set 3 1", "get 0x53 0", "set 0x40 3"] {
        #expect(try consumer.ask("attr 0 \(request) \(address)") == "errno EFAULT 14", "\(address)")
      }
    }
    #expect(try consumer.ask("attr 0 get 0x50 0 page:2:0") == "errno EFAULT 14", "read-only")
    try consumer.expect("inline 0 get 0x50 0 -")
    let pauses = Int((MonotonicClock.nanoseconds - start) / 10_000_000_000)
    let count = lines(device, with: "process \(consumer.processID) (TestConsumer)", "XIVE_SET_ATTR")
    #expect((1...1 + pauses).contains(count), "\(device.errors)")
  }

  @Test(
    "A caller that the server's process namespace does not have: only what is inline works, and the log says so once"
  )
  func namespace() throws {
    let apart = [Built.path("TestConsumer"), "--apart", Built.path("xive"), "serve"]
    var device = try ServedDevice(["--create", "0-3"], program: apart)
    var consumer = try Consumer(opening: device.path)
    let start = MonotonicClock.nanoseconds
    try consumer.expect("eventfd 1 0 nonblock")
    try consumer.expect("memfd 2 0x10000 shrink")
    for _ in 0..<10 {
      for request in ["get 0x50 0", "set 3 1", "get 0x53 0"] {
        #expect(try consumer.ask("attr 0 \(request) \(Self.empty)") == "errno EFAULT 14")
      }
      try consumer.expect("inline 0 get 0x50 0 -")
      try consumer.expect("inline 0 set 2 1 0000000000000000")
      #expect(try consumer.ask("irqfd 0 0 1 none") == "errno EPERM 1")
      #expect(try consumer.ask("irqfd 0 0 1 none 1") == "errno EPERM 1")
      #expect(try consumer.ask("connect 0 0 1") == "errno EPERM 1")
      #expect(try consumer.share(2, at: 0, 0x10000) == "errno EFAULT 14")
      // What needs neither memory nor descriptors works.
      try consumer.expect("line 0 0 1")
      try consumer.expect("attr 0 set 1 2 null")
    }
    let pauses = Int((MonotonicClock.nanoseconds - start) / 10_000_000_000)
    let once = 1...1 + pauses
    let whose = "refused: an unseen process: its "
    #expect(
      once.contains(lines(device, with: whose + "memory", "XIVE_SET_ATTR")), "\(device.errors)")
    #expect(once.contains(lines(device, with: whose + "descriptor", "EPERM")), "\(device.errors)")
    #expect(device.stop() == 0)
  }
}
