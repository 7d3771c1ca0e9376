import CXIVE
import XIVETestSupport

/// The bytes of a request's payload, in the host's byte order.
struct Payload {
  private(set) var bytes: [UInt8] = []

  init(_ words: any FixedWidthInteger...) { for word in words { append(word) } }

  private mutating func append(_ word: some FixedWidthInteger) {
    unsafe withUnsafeBytes(of: word) { unsafe bytes.append(contentsOf: $0) }
  }

  /// As the consumer takes it.
  var hex: String { bytes.map { EndToEndTests.hex($0) }.joined() }
}

/// What a VMM does for delivery, command by command; answers are the consumer's own.
extension Consumer {
  /// `KVM_ENABLE_CAP`: connects a descriptor to a server.
  mutating func connect(_ descriptor: Int = 0, to server: UInt64) throws -> String {
    let number = try UInt64(expect("number \(descriptor)")) ?? 0
    return try enableCapability(descriptor, arguments: [number, server])
  }

  /// `KVM_ENABLE_CAP` with any contents.
  mutating func enableCapability(
    _ descriptor: Int = 0, capability: UInt32 = 169, flags: UInt32 = 0, arguments: [UInt64]
  ) throws -> String {
    let payload = Payload(
      capability, flags, arguments[0], arguments[1], UInt64(0), UInt64(0))
    return try ask("ioctl \(descriptor) 0x4068aea3 \(payload.hex)")
  }

  /// Opens the device once more.
  mutating func open(_ descriptor: Int, _ path: String) throws {
    try expect("open \(descriptor) \(path) rw,direct")
  }

  /// Shares a memfd with the device as a slot of guest memory.
  mutating func share(
    _ memory: Int, slot: UInt32 = 0, at address: UInt64, _ byteCount: UInt64, offset: UInt64 = 0
  ) throws -> String {
    let number = try Int32(expect("number \(memory)")) ?? -1
    let payload = Payload(address, byteCount, number, UInt32(0), offset)
    return try ask("attr 0 set 0x45 \(slot) \(payload.hex)")
  }

  /// Takes a slot of guest memory away.
  mutating func unshare(slot: UInt32 = 0) throws {
    let nothing = Payload(UInt64(0), UInt64(0), Int32(-1), UInt32(0), UInt64(0))
    try expect("attr 0 set 0x45 \(slot) \(nothing.hex)")
  }

  /// Gives a server a queue of 64 KiB; shift 0 takes it away.
  mutating func configureQueue(
    _ server: UInt32, _ priority: UInt32 = 6, at address: UInt64, shift: UInt32 = 16
  ) throws -> String {
    let rest = [UInt64](repeating: 0, count: 5)
    let payload = Payload(
      UInt32(1), shift, address, UInt32(1), UInt32(0), rest[0], rest[1], rest[2], rest[3], rest[4])
    return try ask("attr 0 set 4 \(xive_eq_id(server, priority)) \(payload.hex)")
  }

  /// Asks for a server's queue.
  mutating func queue(_ server: UInt32, _ priority: UInt32 = 6) throws -> xive_eq {
    let empty = String(repeating: "0", count: 128)
    return try Self.value(of: ask("attr 0 get 4 \(xive_eq_id(server, priority)) \(empty)"))
  }

  /// Routes a source, and makes it ready.
  mutating func route(
    _ lisn: UInt64, to server: UInt32, _ priority: UInt32 = 6, eisn: UInt32
  ) throws {
    let value = Payload(xive_source_config(server, priority, eisn, 0)).hex
    try expect("attr 0 set 3 \(lisn) \(value)")
    try setPQ(lisn, 0)
  }

  /// Performs an exact load of any size.
  mutating func load(_ descriptor: Int = 0, at offset: UInt64, size: Int) throws -> UInt64 {
    let hex = try expect("pread \(descriptor) \(offset) \(size)")
    guard hex.count == 2 * size, let value = UInt64(hex, radix: 16) else {
      throw SupportFailure("not \(size) bytes: \(hex)")
    }
    return value
  }

  /// Performs an exact store of one byte.
  mutating func storeByte(_ value: UInt8, _ descriptor: Int = 0, at offset: UInt64) throws {
    try expect("pwrite \(descriptor) \(offset) \(hex(value))")
  }

  /// Whether `poll` reports input within some milliseconds.
  mutating func isReadable(_ descriptor: Int = 0, within milliseconds: Int = 0) throws -> Bool {
    try expect("poll \(descriptor) in \(milliseconds)") == "in"
  }

  /// Waits until the device's counts are as expected: what follows from the end of a process comes a moment later.
  @discardableResult
  mutating func await(_ isExpected: (xive_info_delivery) -> Bool) throws -> Bool {
    for _ in 0..<10_000 {
      if isExpected(try delivery()) { return true }
      try expect("sleep 1")
    }
    return false
  }

  mutating func delivery() throws -> xive_info_delivery { try info(XIVE_INFO_DELIVERY) }
  mutating func guestErrors() throws -> xive_info_guest_errors { try info(XIVE_INFO_GUEST_ERRORS) }
}

/// Registers of the connected vCPU's TIMA in the OS view, on a device with pages of 4 KiB.
enum OSView {
  static let page: UInt64 = 0x2000
  static let ring = page + 0x10
  static let cppr = page + 0x11
  static let acknowledge = page + 0x810
  static let setPending = page + 0x812
}

/// A page of a server's TIMA in region 3; views: 0 HW, 1 HV, 2 OS, 3 user.
func timaPage(_ server: UInt64, _ view: UInt64) -> UInt64 { 3 << 40 | (server * 4 + view) << 12 }

/// A process that is vCPU 0 of a guest with 64 KiB of memory that holds its queue of priority 6, into which sources
/// 0 to 3 send; source n arrives as 0x50 + n.
struct GuestProcess: ~Copyable {
  static let memory: UInt64 = 0x8000_0000
  var consumer: Consumer

  init(on path: String) throws {
    var consumer = try Consumer(opening: path)
    _ = try Self.succeeded(consumer.connect(to: 0))
    try consumer.expect("memfd 9 0x10000 shrink")
    try consumer.expect("map 9 9 0 0x10000 rw shared")
    try Self.share(&consumer)
    try Self.setUp(&consumer)
    try consumer.storeByte(0xff, at: OSView.cppr)
    self.consumer = consumer
  }

  /// Shares the memory.
  mutating func share() throws { try Self.share(&consumer) }

  /// Configures the queue, which begins anew, and routes the sources.
  mutating func setUp() throws { try Self.setUp(&consumer) }

  private static func share(_ consumer: inout Consumer) throws {
    _ = try succeeded(consumer.share(9, at: memory, 0x10000))
  }

  private static func setUp(_ consumer: inout Consumer) throws {
    for word in 0..<4 as Range<UInt64> { try consumer.expect("store 9 \(word * 8) 8 0") }
    _ = try succeeded(consumer.configureQueue(0, at: memory))
    for lisn in 0..<4 as Range<UInt64> {
      try consumer.route(lisn, to: 0, eisn: 0x50 + UInt32(lisn))
    }
  }

  /// An entry of the queue.
  mutating func entry(_ index: UInt64) throws -> UInt64 {
    let answer = try consumer.expect("load 9 \(index * 4) 4")
    return UInt64(answer.dropFirst(2), radix: 16) ?? .max
  }

  private static func succeeded(_ answer: String) throws -> String {
    guard answer.hasPrefix("ok") else { throw SupportFailure("refused: \(answer)") }
    return answer
  }
}
