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
      guard let target = Self.target(words) else { throw .malformed(text) }
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

  private static func target(_ words: [String]) -> PageTarget? {
    switch (words[0], words.count) {
    case ("esb", 3), ("kernel", 3):
      guard let lisn = number(words[1]).flatMap(UInt32.init(exactly:)),
        let half = ESBHalf(name: words[2])
      else { return nil }
      return .esb(LISN(rawValue: lisn), half)
    case ("end", 3):
      guard let index = number(words[1]).flatMap(UInt32.init(exactly:)),
        let half = ["esn": ENDHalf.notification, "ese": .escalation][words[2]]
      else { return nil }
      return .end(index: index, half)
    case ("tima", 2):
      return TIMAView(name: words[1]).map { .connectedTIMA($0) }
    case ("tima", 3):
      guard let server = number(words[1]).flatMap(UInt32.init(exactly:)),
        let view = TIMAView(name: words[2])
      else { return nil }
      return .tima(Server(rawValue: server), view)
    case ("phb", 3):
      guard
        let phb = number(words[1]).flatMap(UInt16.init(exactly:)).flatMap(PHBIndex.init(rawValue:)),
        let irq = number(words[2]).flatMap(UInt16.init(exactly:))
      else { return nil }
      return .phb(phb, HardwareIRQ(rawValue: irq))
    default:
      return nil
    }
  }

  /// Reads a decimal or 0x hexadecimal number.
  /// - Parameter text: digits.
  /// - Returns: the value, or nil when it is no number of 64 bits.
  public static func number(_ text: String) -> UInt64? {
    guard text.first?.isHexDigit == true else { return nil }
    return text.hasPrefix("0x") || text.hasPrefix("0X")
      ? UInt64(text.dropFirst(2), radix: 16) : UInt64(text)
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
