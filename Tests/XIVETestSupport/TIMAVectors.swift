/// An access to a TIMA page as it was recorded.
public struct TIMAAccess: Sendable, CustomStringConvertible {
  /// Load or store.
  public let op: VectorAccess
  /// 0 HW, 1 HV, 2 OS, 3 USER.
  public let view: Int
  /// The byte offset in the page.
  public let offset: Int
  /// Bytes.
  public let size: Int
  /// What is stored; 0 for a load.
  public let value: UInt64

  /// The access in words, for a failure.
  public var description: String {
    "\(op.rawValue) of \(size) bytes, \(TIMAVectors.views[view])+0x\(String(offset, radix: 16))"
  }
}

/// What an access did, as it was recorded.
public struct TIMAResult: Sendable {
  /// What was loaded; nil for a store.
  public let value: UInt64?
  /// The bytes of the registers that it changed, by their offsets in the page.
  public let changes: [Int: UInt8]
  /// Where QEMU is known not to do what hardware does; its byte order is left out, for it has been put right.
  public let quirks: [Substring]

  /// Reads the parts of a result: a value, changes, and quirks.
  fileprivate init(_ text: String, of op: VectorAccess) throws {
    var parts = text.split(separator: " ")[...]
    value = try op == .load ? parts.popFirst().map { try TIMAVectors.number($0) } : nil
    quirks = parts.filter { $0.hasPrefix("!") && $0 != "!pull-byte-order" }
    changes = try Dictionary(
      parts.filter { !$0.hasPrefix("!") }.map { part in
        let sides = part.split(separator: "=")
        guard sides.count == 2 else { throw SupportFailure("no change: \(part)") }
        return (Int(try TIMAVectors.number(sides[0])), UInt8(try TIMAVectors.number(sides[1])))
      }, uniquingKeysWith: { $1 })
  }
}

/// What every access to a TIMA page does: `tima-accesses.json`.
public struct TIMAVectors: Sendable, Decodable {
  /// What the registers are before an access.
  public struct State: Sendable, Decodable {
    /// Which.
    public let name: String
    /// The registers from offset 10 on, as loads in the HW view give them, in hexadecimal digits.
    public let registers: String
    /// What leads there from a fresh TIMA whose OS context is pushed.
    public let setup: [Setup]
  }

  /// One access of a state's setup.
  public struct Setup: Sendable, Decodable {
    /// The access.
    public let access: TIMAAccess

    /// Reads the access from its five elements.
    /// - Parameter decoder: an array.
    /// - Throws: a decoding error when an element is missing or of another type.
    public init(from decoder: any Decoder) throws {
      var elements = try decoder.unkeyedContainer()
      let op = try elements.decode(VectorAccess.self)
      let view = try TIMAVectors.view(try elements.decode(String.self))
      let offset = try elements.decode(Int.self)
      let size = try elements.decode(Int.self)
      let value = try elements.decode(String?.self).map { try TIMAVectors.number($0[...]) }
      access = TIMAAccess(op: op, view: view, offset: offset, size: size, value: value ?? 0)
    }
  }

  /// All accesses of one kind: blocks of 64 bytes with the same results.
  public struct Row: Sendable, Decodable {
    /// The state before each.
    public let state: String
    /// Load or store.
    public let op: VectorAccess
    /// Bytes.
    public let size: Int
    /// The view's name.
    public let view: String
    fileprivate let blocks: [Block]
  }

  fileprivate struct Block: Sendable, Decodable {
    let first: Int
    let last: Int
    let results: [String]

    init(from decoder: any Decoder) throws {
      var elements = try decoder.unkeyedContainer()
      first = try elements.decode(Int.self)
      last = try elements.decode(Int.self)
      results = try elements.decode([String].self)
    }
  }

  /// The vCPU whose TIMA was accessed.
  public let server: Int
  /// The states.
  public let states: [State]
  /// The kinds of access.
  public let rows: [Row]
  private let values: [String: String]

  static let views = ["HW", "HV", "OS", "USER"]
  private static let blockSize = 64

  /// All accesses of one kind, with what each did.
  /// - Parameter row: the kind.
  /// - Returns: them, in the order of their offsets.
  /// - Throws: ``SupportFailure`` for what cannot be read.
  public func accesses(_ row: Row) throws -> [(access: TIMAAccess, result: TIMAResult)] {
    let view = try Self.view(row.view)
    let value = try Self.number((values["\(row.size)"] ?? "")[...])
    return try row.blocks.flatMap { block in
      let results = try block.results.map { try TIMAResult($0, of: row.op) }
      return (block.first...block.last).flatMap { number in
        results.enumerated().map { index, result in
          let offset = number * Self.blockSize + index * row.size
          let access = TIMAAccess(
            op: row.op, view: view, offset: offset, size: row.size, value: value)
          return (access, result)
        }
      }
    }
  }

  fileprivate static func number(_ digits: Substring) throws -> UInt64 {
    guard let number = UInt64(digits, radix: 16) else {
      throw SupportFailure("no number: \(digits)")
    }
    return number
  }

  fileprivate static func view(_ name: String) throws -> Int {
    guard let view = views.firstIndex(of: name) else { throw SupportFailure("no view: \(name)") }
    return view
  }
}
