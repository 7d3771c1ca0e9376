import CXIVE
import Testing
import XIVETestSupport

@Suite("irqfds through a mount", .enabled(if: Requirement.canMount), .hangGuard)
struct IRQFDTests {
  /// Message sources 0 to 3 and LSIs 4 and 5, all on; eventfds 1 to 4, a memfd 5, the device read-only 8.
  private func consumer(_ device: borrowing ServedDevice) throws -> Consumer {
    var consumer = try Consumer(opening: device.path)
    try consumer.expect("open 8 \(device.path) ro,direct")
    for slot in 1...4 { try consumer.expect("eventfd \(slot) 0 nonblock") }
    try consumer.expect("memfd 5 4096 shrink")
    for lisn in 0...5 as ClosedRange<UInt64> { try consumer.setPQ(lisn, 0) }
    return consumer
  }

  private static let options = ["--sources", "64", "--create", "0-3", "--create", "4-5:lsi"]

  @Test("Every errno, and what the log says of it")
  func refusals() throws {
    let device = try ServedDevice(Self.options)
    var consumer = try consumer(device)
    try consumer.expect("irqfd 0 0 1 none")
    for (command, error) in [
      ("irqfd 0 0 2 none 4", "EINVAL 22"), ("irqfd 0 0 =999 none", "EBADF 9"),
      ("irqfd 0 0 none none", "EBADF 9"), ("irqfd 0 0 5 none", "EINVAL 22"),
      ("irqfd 0 0 0 none", "EINVAL 22"), ("irqfd 0 9 2 none", "EINVAL 22"),
      ("irqfd 0 64 2 none", "EINVAL 22"), ("irqfd 0 4 2 none", "EINVAL 22"),
      ("irqfd 0 0 2 3", "EINVAL 22"), ("irqfd 0 0 none 3", "EINVAL 22"),
      ("irqfd 0 4 2 =999", "EBADF 9"), ("irqfd 0 4 2 5", "EINVAL 22"),
      ("irqfd 0 0 1 none", "EBUSY 16"), ("irqfd 0 1 1 none", "EBUSY 16"),
      ("irqfd 8 0 2 none", "EBADF 9"), ("irqfd 8 0 1 none 1", "EBADF 9"),
    ] { #expect(try consumer.ask(command) == "errno " + error, "\(command)") }
    // What is not assigned, or by another descriptor, is no error, and nothing happens.
    try consumer.open(9, device.path)
    for command in ["irqfd 0 1 1 none 1", "irqfd 0 0 2 none 1", "irqfd 9 0 1 none 1"] {
      try consumer.expect(command)
    }
    try consumer.expect("raise 1 1")
    #expect(try consumer.awaitPQ(0, 2))
    for reason in [
      "nothing would ever lower", "resamplefd on a message source",
      "LISN 0x9: it was never created",
    ] {
      #expect(device.errors.contains(reason), "\(reason)")
    }
  }

  @Test("A deassign returns when what was raised has arrived, and nothing comes after it")
  func drains() throws {
    let device = try ServedDevice(Self.options)
    var consumer = try consumer(device)
    for _ in 0..<300 {
      let answers = try consumer.ask(all: [
        "irqfd 0 0 1 none", "raise 1 1", "irqfd 0 0 1 none 1",
        "pread 0 \(managementPage(0) + 0x800) 8",
        "raise 1 1", "pread 0 \(managementPage(0) + 0xc00) 8", "take 1",
      ])
      #expect(
        answers == [
          "ok", "ok", "ok", "ok 0000000000000002", "ok", "ok 0000000000000002", "ok 1",
        ])
    }
  }

  @Test("What is in an eventfd when it is assigned is an event")
  func alreadyRaised() throws {
    let device = try ServedDevice(Self.options)
    var consumer = try consumer(device)
    for lisn in [0, 4] as [UInt64] {
      try consumer.expect("raise 1 3")
      try consumer.expect("irqfd 0 \(lisn) 1 \(lisn == 4 ? "2" : "none")")
      #expect(try consumer.awaitPQ(lisn, 2))
      try consumer.expect("irqfd 0 \(lisn) 1 \(lisn == 4 ? "2" : "none") 1")
    }
  }

  @Test("All lines of an LSI are lowered together by its end, and all resamplefds told, once")
  func shared() throws {
    let device = try ServedDevice(Self.options)
    var consumer = try consumer(device)
    try consumer.expect("irqfd 0 4 1 3")
    try consumer.expect("irqfd 0 4 2 4")
    // Another, who raises its line by KVM_IRQ_LINE, is told of the end alone.
    var other = try Consumer(opening: device.path)
    try other.expect("eventfd 1 0 nonblock")
    try other.expect("irqfd 0 4 none 1")
    for _ in 0..<20 {
      try consumer.expect("raise 1 1")
      try consumer.expect("raise 2 1")
      #expect(try consumer.awaitPQ(4, 2))
      let injected: xive_info_injection = try consumer.info(XIVE_INFO_INJECTION)
      #expect(
        try consumer.awaits { consumer in
          let injection: xive_info_injection = try consumer.info(XIVE_INFO_INJECTION)
          return injection.injected % 2 == 0 && injection.injected >= injected.injected
        })
      _ = try consumer.load(at: managementPage(4))
      #expect(try consumer.pq(4) == 0, "a line was left high")
      #expect(try consumer.expect("take 3") == "1" && consumer.expect("take 4") == "1")
      #expect(try other.expect("take 1") == "1")
    }
    #expect(try consumer.ask("take 3") == "errno EAGAIN 11")
    // The other's line is its own to lower.
    try other.expect("line 0 4 1")
    _ = try consumer.load(at: managementPage(4))
    #expect(try consumer.pq(4) == 2)
    #expect(try other.expect("take 1") == "1")
    try other.expect("line 0 4 0")
    _ = try consumer.load(at: managementPage(4))
    #expect(try consumer.pq(4) == 0)
    // An irqfd that goes while it holds the line lets go.
    try consumer.expect("raise 1 1")
    #expect(try consumer.awaitPQ(4, 2))
    try consumer.expect("irqfd 0 4 1 3 1")
    _ = try consumer.load(at: managementPage(4))
    #expect(try consumer.pq(4) == 0)
  }
}
