import CXIVE
import Testing
import XIVEModel
import XIVETestSupport

/// A XIVE device on a mount of its own, and one consumer process that has it open as descriptor 0.
struct ContractDevice: ~Copyable {
  var server: ServedDevice
  var consumer: Consumer
  let map: DeviceMap

  init(_ options: [String] = []) throws {
    let server = try ServedDevice(options)
    var consumer = try Consumer(opening: server.path)
    let info: xive_info_geometry = try consumer.info(XIVE_INFO_GEOMETRY)
    self.server = server
    self.consumer = consumer
    map = DeviceMap(
      pageShift: UInt64(info.device_page_shift), sourceCount: info.sources,
      serverCount: info.max_vcpus)
  }

  /// The options that give a shape of ESB pages as the recorded files name it.
  static func options(esbShift: UInt8, storeEOI: Bool, create: String) throws -> [String] {
    let shape = try #require(ESBGeometry(rawValue: esbShift))
    let pageSize = shape.pageShift == 12 ? "4k" : "64k"
    return ["--page-size", pageSize, "--esb-pages", "\(shape.pageCount)", "--create", create]
      + (storeEOI ? ["--store-eoi"] : [])
  }

  /// Ends the server, which must have survived the test, and leaves in good order.
  mutating func end() { #expect(server.stop() == 0) }

  /// The device offset of a source's page.
  func page(_ lisn: UInt32, _ half: ESBHalf, in window: Window = .esb) -> UInt64 {
    switch window {
    case .kernel: map.kernelOffset(of: LISN(rawValue: lisn), half)
    case .esb: map.offset(of: .esb(LISN(rawValue: lisn), half))
    }
  }

  /// Loads PQ, by an exact load without effect.
  mutating func pq(_ lisn: UInt32) throws -> UInt64 {
    try consumer.load(at: page(lisn, .management) + 0x800)
  }

  /// Sets PQ, by an exact load, and returns what it was.
  @discardableResult
  mutating func setPQ(_ lisn: UInt32, _ pq: UInt64) throws -> UInt64 {
    try consumer.load(at: page(lisn, .management) + 0xc00 + pq * 0x100)
  }

  /// Creates a source, or creates it again, as a VMM does.
  mutating func create(_ lisn: UInt32, _ flags: UInt8 = 0) throws {
    try consumer.expect("attr 0 set 2 \(lisn) \(hex(flags))00000000000000")
  }

  mutating func counters() throws -> xive_info_counters { try consumer.info(XIVE_INFO_COUNTERS) }

  mutating func geometry() throws -> xive_info_geometry { try consumer.info(XIVE_INFO_GEOMETRY) }
}

/// The two windows of the file that show a source's pages.
enum Window: CaseIterable, CustomTestStringConvertible {
  case kernel, esb

  var testDescription: String { self == .kernel ? "the kernel's window" : "region 1" }
}

/// A number as the consumer spells bytes: big-endian, without a prefix.
func hex<Number: FixedWidthInteger & UnsignedInteger>(_ number: Number) -> String {
  let digits = String(number, radix: 16)
  return String(repeating: "0", count: Number.bitWidth / 4 - digits.count) + digits
}

/// The bytes that the consumer spelled.
func bytes(_ hex: some StringProtocol) -> [UInt8] {
  let digits = hex.compactMap(\.hexDigitValue)
  return stride(from: 0, to: digits.count - 1, by: 2).map {
    UInt8(digits[$0] << 4 | digits[$0 + 1])
  }
}

extension Consumer {
  /// Sends many commands and reads the answers in order; fewer at a time than fill a pipe.
  mutating func ask(all commands: [String]) throws -> [String] {
    var answers: [String] = []
    var rest = commands[...]
    while !rest.isEmpty {
      let batch = rest.prefix(200)
      for command in batch { send(command) }
      for _ in batch { answers.append(try answer()) }
      rest = rest.dropFirst(batch.count)
    }
    return answers
  }

  /// Reads one of the INFO attributes, inline.
  mutating func info<Value: BitwiseCopyable>(_ attribute: some BinaryInteger) throws -> Value {
    try Self.value(of: "ok " + expect("inline 0 get 0x50 \(attribute) -"))
  }

  /// The value at the start of an answer's bytes.
  static func value<Value: BitwiseCopyable>(of answer: String) throws -> Value {
    let bytes = bytes(answer.dropFirst(3))
    try #require(answer.hasPrefix("ok ") && bytes.count >= MemoryLayout<Value>.size, "\(answer)")
    return unsafe bytes.withUnsafeBytes { unsafe $0.loadUnaligned(as: Value.self) }
  }

  /// Reads the signature of the page at an offset of a mapping.
  mutating func signature(_ mapping: Int, at page: UInt64) throws -> PageSignature {
    let text = try expect("bytes \(mapping) \(page + UInt64(PageSignature.offset)) 64")
    let bytes = bytes(text)
    let signature = PageSignature(
      registers: .init { word in bytes[word * 8..<word * 8 + 8].reduce(0) { $0 << 8 | UInt64($1) } }
    )
    return try #require(signature, "\(text)")
  }

  /// Maps a range of the device, shared, readable and writable.
  mutating func map(_ mapping: Int, at offset: UInt64, pages: UInt64, of map: DeviceMap) throws {
    try expect("map \(mapping) 0 \(offset) \(pages * map.pageByteCount) rw shared")
  }

  /// Loads 8 bytes through a mapping.
  mutating func load(_ mapping: Int, at offset: UInt64) throws -> UInt64? {
    let answer = try ask("load \(mapping) \(offset) 8")
    // Nothing but SIGBUS at exactly the byte that was touched stands for "no page".
    if answer == "sigbus code=2 address=0x\(String(offset, radix: 16))" { return nil }
    try #require(answer.hasPrefix("ok 0x"), "\(answer)")
    return UInt64(answer.dropFirst(5), radix: 16)
  }
}

/// The command of an exact access of 8 bytes; what is stored must not matter, so it is never the same.
func exact(_ access: VectorAccess, at offset: UInt64) -> String {
  switch access {
  case .load: "pread 0 \(offset) 8"
  case .store: "pwrite 0 \(offset) \(hex(offset &* 0x9e37_79b9_7f4a_7c15))"
  }
}

/// The consumer's answer to an exact access that gave a value, or to a store.
func exactAnswer(_ value: UInt64?) -> String { value.map { "ok " + hex($0) } ?? "ok count=8" }
