import Glibc
import Testing
import XIVETestSupport

@Suite("Waiting for descriptors in other processes", .enabled(if: Requirement.canMount), .hangGuard)
struct WaitingTests {
  /// A wait that no test outlasts: whoever is not woken gives no answer in time.
  private static let forever = 600_000

  /// A consumer whose descriptor 0 is attached to counter 0.
  private func attached(_ device: borrowing ServedDevice, _ flags: String = "rw,direct") throws
    -> Consumer
  {
    var consumer = try Consumer(opening: device.path, flags)
    try consumer.expect(.attach, 0)
    return consumer
  }

  @Test("poll says what is there, and waits for it no longer than it was told")
  func polls() throws {
    let device = try MailboxDevice.serve()
    var consumer = try attached(device)
    #expect(try consumer.ask("poll 0 in 0") == "ok none")
    #expect(try consumer.ask("poll 0 in 20") == "ok none")
    #expect(try consumer.ask("poll 0 in,out 0") == "ok out")
    try consumer.store(at: 0)
    #expect(try consumer.ask("poll 0 in \(Self.forever)") == "ok in")
    #expect(try consumer.ask("poll 0 in,out,pri 0") == "ok in,out")
    #expect(try consumer.load(at: 0) == 1)
    #expect(try consumer.ask("poll 0 in 0") == "ok none")
    var reader = try Consumer(opening: device.path, "ro,direct")
    #expect(try reader.ask("poll 0 in,out 0") == "ok none")
  }

  @Test("A store in one process wakes poll in another, each time")
  func wakesPoll() throws {
    let device = try MailboxDevice.serve()
    var waiter = try attached(device)
    var storer = try Consumer(opening: device.path)
    for _ in 0..<20 {
      waiter.send("poll 0 in \(Self.forever)")
      try storer.expect("sleep 5")
      try storer.store(at: 0)
      #expect(try waiter.answer() == "ok in")
      #expect(try waiter.load(at: 0) == 1)
    }
  }

  @Test("epoll tells a level for as long as it lasts")
  func level() throws {
    let device = try MailboxDevice.serve()
    var waiter = try attached(device)
    var storer = try Consumer(opening: device.path)
    try waiter.expect("epoll-add 0 in")
    for _ in 0..<5 {
      #expect(try waiter.ask("epoll-wait 0") == "ok none")
      waiter.send("epoll-wait \(Self.forever)")
      try storer.store(at: 0)
      #expect(try waiter.answer() == "ok 0:in")
      #expect(try waiter.ask("epoll-wait 0") == "ok 0:in")
      try storer.store(at: 0)
      #expect(try waiter.ask("epoll-wait 0") == "ok 0:in")
      #expect(try waiter.load(at: 0) == 2)
    }
  }

  @Test("epoll tells an edge once, and the next one as well")
  func edge() throws {
    let device = try MailboxDevice.serve()
    var waiter = try attached(device)
    var storer = try Consumer(opening: device.path)
    try waiter.expect("epoll-add 0 in,edge")
    for _ in 0..<5 {
      #expect(try waiter.ask("epoll-wait 0") == "ok none")
      waiter.send("epoll-wait \(Self.forever)")
      try storer.store(at: 0)
      #expect(try waiter.answer() == "ok 0:in")
      // It is readable still, and no edge.
      #expect(try waiter.ask("epoll-wait 20") == "ok none")
      try storer.store(at: 0)
      #expect(try waiter.ask("epoll-wait 20") == "ok none")
      #expect(try waiter.load(at: 0) == 2)
    }
  }

  @Test("A descriptor that is readable when it is added is told", arguments: ["in", "in,edge"])
  func readableAtFirst(events: String) throws {
    let device = try MailboxDevice.serve()
    var waiter = try attached(device)
    try waiter.store(at: 0)
    try waiter.expect("epoll-add 0 \(events)")
    #expect(try waiter.ask("epoll-wait \(Self.forever)") == "ok 0:in")
    #expect(try waiter.load(at: 0) == 1)
    waiter.send("epoll-wait \(Self.forever)")
    var storer = try Consumer(opening: device.path)
    try storer.store(at: 0)
    #expect(try waiter.answer() == "ok 0:in")
  }

  @Test("No wake-up is lost while stores and waits race", arguments: ["level", "edge"])
  func race(kind: String) throws {
    let device = try MailboxDevice.serve()
    var waiter = try attached(device)
    var storer = try Consumer(opening: device.path)
    waiter.send("collect 0 0 20000 10000 \(kind)")
    #expect(try storer.ask("trigger-burst 4 5000 0 0").hasPrefix("ok errors=0"))
    let answer = try waiter.answer()
    #expect(answer.hasPrefix("ok sum=20000"), "\(answer)")
  }

  @Test("A thousand descriptors wait in one epoll, and each is woken by its own event alone")
  func thousand() throws {
    let count = 1_000
    let device = try MailboxDevice.serve()
    var waiter = try Consumer()
    for index in 0..<count {
      try waiter.expect("open \(index) \(device.path) rw,direct")
      try waiter.expect(.attach, UInt64(index), on: index)
      try waiter.expect("epoll-add \(index) \(index & 1 == 0 ? "in" : "in,edge")")
    }
    var storer = try Consumer(opening: device.path)
    var random = Seed.generator(stream: 510)
    for index in (0..<count).shuffled(using: &random) {
      waiter.send("epoll-wait \(Self.forever)")
      try storer.store(at: MailboxDevice.counter(index))
      #expect(try waiter.answer() == "ok \(index):in", "\(Seed.comment)")
      try waiter.expect("pread 0 \(MailboxDevice.counter(index)) 8")
    }
    #expect(try waiter.ask("epoll-wait 20") == "ok none")
    // All at once.
    for index in (0..<count).shuffled(using: &random) {
      try storer.store(at: MailboxDevice.counter(index))
    }
    var told: [Int] = []
    while told.count < count {
      let answer = try waiter.expect("epoll-wait 10000")
      guard answer != "none" else { break }
      for event in answer.split(separator: " ") {
        let index = try #require(event.split(separator: ":").first.flatMap { Int($0) })
        #expect(event.hasSuffix(":in"))
        told.append(index)
        try waiter.expect("pread 0 \(MailboxDevice.counter(index)) 8")
      }
    }
    #expect(told.sorted() == Array(0..<count), "\(Seed.comment)")
    #expect(try waiter.ask("epoll-wait 20") == "ok none")
  }

  @Test(
    "Who waits when the server ends, or is killed, is told of an error",
    arguments: [SIGTERM, SIGKILL])
  func serverEnds(signal: Int32) throws {
    var device = try MailboxDevice.serve()
    var poller = try attached(device)
    var waiter = try Consumer(opening: device.path)
    try waiter.expect("epoll-add 0 in")
    poller.send("poll 0 in \(Self.forever)")
    waiter.send("epoll-wait \(Self.forever)")
    var other = try Consumer(opening: device.path)
    try other.expect("sleep 20")
    device.signal(signal)
    #expect(device.exitCode() == (signal == SIGKILL ? 128 + SIGKILL : 0))
    #expect(try poller.answer() == "ok err")
    #expect(try waiter.answer() == "ok 0:err")
    #expect(try poller.ask("poll 0 in,out 0") == "ok err")
  }

  @Test("A consumer that is killed while it waits leaves nothing")
  func consumerDies() throws {
    let device = try MailboxDevice.serve()
    var storer = try Consumer(opening: device.path)
    for _ in 0..<5 {
      var waiter = try attached(device)
      waiter.send("poll 0 in \(Self.forever)")
      try storer.expect("sleep 5")
      waiter.signal(SIGKILL)
      #expect(waiter.exitCode() == 128 + SIGKILL)
      #expect(try storer.awaits { try $0.expect(.countAttached) == 0 })
      try storer.store(at: 0)
    }
    #expect(try storer.load(at: 0) == 5)
  }
}
