/// A device offset as people write it: `esb:0x17:management+0x800`, `tima:os+0x10`, `0x10000002800`.
///
/// Forms: `esb:LISN:trigger|management`, `kernel:LISN:trigger|management` (the same page in the kernel's
/// window), `end:INDEX:esn|ese`, `tima:VIEW` (of the connected vCPU), `tima:SERVER:VIEW`,
/// `phb:K:IRQ`, or a plain number; each with `+OFFSET` behind it if wanted. Numbers are decimal or 0x
/// hexadecimal.
public struct OffsetName: Hashable, Sendable {
  /// The byte offset in the device file.
  public let offset: UInt64

  /// Why a name is not an offset.
  public enum Failure: Error, Hashable, Sendable, CustomStringConvertible {
    /// The words do not follow any of the forms.
    case malformed(String)
    /// The number behind a word is beyond what this device has.
    case outOfRange(String)

    /// One line for the user.
    public var description: String {
      switch self {
      case .malformed(let text):
        "'\(text)' is no offset: write esb:LISN:trigger, esb:LISN:management+0x800, tima:os+0x10, "
          + "end:8:esn, phb:0:3 or a number"
      case .outOfRange(let text): "'\(text)' lies beyond what this device has"
      }
    }
  }

  /// Reads a name.
  /// - Parameters:
  ///   - text: what the user wrote.
  ///   - map: the layout of the device.
  /// - Throws: ``Failure`` with the text in it.
  public init(_ text: String, map: DeviceMap) throws(Failure) {
    let parts = text.split(separator: "+", maxSplits: 1, omittingEmptySubsequences: false)
    let words = parts[0].split(separator: ":", omittingEmptySubsequences: false).map(String.init)
    var base: UInt64
    if words.count == 1 {
      guard let plain = Self.number(words[0]) else { throw .malformed(text) }
      base = plain
    } else {
      guard let target = try Self.target(words, text) else { throw .malformed(text) }
      base = words[0] == "kernel" ? Self.kernelOffset(target, map) : map.offset(of: target)
      guard map.target(at: base) == target else { throw .outOfRange(text) }
    }
    if parts.count == 2 {
      guard let within = Self.number(String(parts[1])) else { throw .malformed(text) }
      let isInPage = words.count == 1 || within < map.pageByteCount
      let (sum, overflow) = base.addingReportingOverflow(within)
      guard isInPage, !overflow else { throw .outOfRange(text) }
      base = sum
    }
    guard base < DeviceMap.fileByteCount else { throw .outOfRange(text) }
    offset = base
  }

  private static func kernelOffset(_ target: PageTarget, _ map: DeviceMap) -> UInt64 {
    guard case .esb(let lisn, let half) = target else { return map.offset(of: target) }
    return map.kernelOffset(of: lisn, half)
  }

  /// Finds the page that the words in front of `+` name; nil where they follow no form.
  private static func target(_ words: [String], _ text: String) throws(Failure) -> PageTarget? {
    switch (words[0], words.count) {
    case ("esb", 3), ("kernel", 3):
      guard let half = ESBHalf(name: words[2]) else { return nil }
      return .esb(LISN(rawValue: try index(words[1], text)), half)
    case ("end", 3):
      guard let half = ["esn": ENDHalf.notification, "ese": .escalation][words[2]] else {
        return nil
      }
      return .end(index: try index(words[1], text), half)
    case ("tima", 2):
      return TIMAView(name: words[1]).map { .connectedTIMA($0) }
    case ("tima", 3):
      guard let view = TIMAView(name: words[2]) else { return nil }
      return .tima(Server(rawValue: try index(words[1], text)), view)
    case ("phb", 3):
      let number: UInt16 = try index(words[1], text)
      let irq = HardwareIRQ(rawValue: try index(words[2], text))
      guard let phb = PHBIndex(rawValue: number) else { throw .outOfRange(text) }
      return .phb(phb, irq)
    default:
      return nil
    }
  }

  private static func index<Number: FixedWidthInteger>(_ word: String, _ text: String)
    throws(Failure) -> Number
  {
    guard let value = number(word) else { throw .malformed(text) }
    guard let number = Number(exactly: value) else { throw .outOfRange(text) }
    return number
  }

  /// Reads a decimal or 0x hexadecimal number.
  /// - Parameter text: digits.
  /// - Returns: the value, or nil when it is no number of 64 bits.
  public static func number(_ text: String) -> UInt64? {
    let isHexadecimal = text.hasPrefix("0x") || text.hasPrefix("0X")
    let digits = text.dropFirst(isHexadecimal ? 2 : 0)
    // A digit first: the standard library takes a sign, which no offset has.
    guard digits.first?.isHexDigit == true else { return nil }
    return UInt64(digits, radix: isHexadecimal ? 16 : 10)
  }
}

extension ESBHalf {
  /// The page's name: `trigger` or `management`.
  public var name: String { self == .trigger ? "trigger" : "management" }

  /// Reads a page's name.
  public init?(name: String) {
    guard let half = Self.allCases.first(where: { $0.name == name }) else { return nil }
    self = half
  }
}

extension TIMAView {
  /// The view's name: `hw`, `hv`, `os` or `user`.
  public var name: String { ["hw", "hv", "os", "user"][Int(rawValue)] }

  /// Reads a view's name.
  public init?(name: String) {
    guard let view = Self.allCases.first(where: { $0.name == name }) else { return nil }
    self = view
  }
}

extension PageTarget: CustomStringConvertible {
  /// The page's name, as ``OffsetName`` reads it.
  public var description: String {
    switch self {
    case .connectedTIMA(let view): "tima:\(view.name)"
    case .esb(let lisn, let half): "esb:\(lisn):\(half.name)"
    case .end(let index, let half): "end:\(index):\(half == .notification ? "esn" : "ese")"
    case .tima(let server, let view): "tima:\(server.rawValue):\(view.name)"
    case .phb(let index, let irq): "phb:\(index.rawValue):\(irq.rawValue)"
    }
  }
}
