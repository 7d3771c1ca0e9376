import XIVETestSupport

/// The device of `TestServer`: counters, each of which makes one descriptor readable.
enum MailboxDevice {
  static func serve() throws -> ServedDevice {
    try ServedDevice(program: [Built.path("TestServer")])
  }

  /// Where a counter is: a store adds one, a load takes all.
  static func counter(_ index: Int) -> UInt64 { UInt64(index) * 8 }

  /// The page that exists while somebody shows it.
  static let shownPage: UInt64 = 16_384

  /// `TestServer`'s requests.
  enum Request: UInt32 {
    case attach = 0xc018_5401
    case share = 0xc018_5402
    case exchange = 0xc018_5403
    case isDevice = 0xc018_5404
    case countAttached = 0xc018_5405
    case show = 0xc018_5406
    case takeEvent = 0xc018_5407
    case listen = 0xc018_5408
    case stopListening = 0xc018_5409
    case raise = 0xc018_540a
    case dropEvent = 0xc018_540b
  }
}

extension Consumer {
  /// Makes a request of the mailbox device.
  /// - Returns: the consumer's answer: `ok result=...` and the words in hexadecimal, or an error.
  mutating func ask(
    _ request: MailboxDevice.Request, _ words: UInt64..., on slot: Int = 0
  ) throws -> String {
    let padded = words + Array(repeating: 0, count: 3 - words.count)
    let hex = padded.map { word in
      // A word in the machine's order, which is little-endian wherever this runs.
      let digits = String(word.byteSwapped, radix: 16)
      return String(repeating: "0", count: 16 - digits.count) + digits
    }
    return try ask("ioctl \(slot) \(request.rawValue) \(hex.joined())")
  }

  /// Makes a request that must succeed.
  /// - Returns: its result.
  @discardableResult
  mutating func expect(
    _ request: MailboxDevice.Request, _ words: UInt64..., on slot: Int = 0
  ) throws -> Int {
    let padded = words + Array(repeating: 0, count: 3 - words.count)
    let answer = try ask(request, padded[0], padded[1], padded[2], on: slot)
    guard answer.hasPrefix("ok result="),
      let result = answer.dropFirst(10).split(separator: " ").first.flatMap({ Int($0) })
    else { throw SupportFailure("\(request) \(words): \(answer)") }
    return result
  }

  /// The number that a descriptor has in the consumer.
  mutating func number(of slot: Int) throws -> UInt64 {
    guard let number = UInt64(try expect("number \(slot)")) else {
      throw SupportFailure("descriptor \(slot) has no number")
    }
    return number
  }

  /// Waits until a condition that is asked for holds.
  mutating func awaits(_ condition: (inout Consumer) throws -> Bool) throws -> Bool {
    for _ in 0..<10_000 {
      if try condition(&self) { return true }
      try expect("sleep 1")
    }
    return false
  }
}
