import Foundation

/// One of a source's two pages, as the recorded files spell it.
public enum VectorPage: String, Sendable, Decodable, CaseIterable {
  /// The even page.
  case trigger
  /// The odd page, or the only one.
  case management
}

/// A load or a store of 8 bytes.
public enum VectorAccess: String, Sendable, Decodable, CaseIterable {
  /// A load; it has a value.
  case load
  /// A store; its data never matters.
  case store
}

/// One recorded access from a known state.
public struct OperationRow: Sendable, Decodable, CustomStringConvertible {
  /// The page that was accessed.
  public let page: VectorPage
  /// The byte offset in the page.
  public let offset: UInt64
  /// The access.
  public let op: VectorAccess
  /// PQ before it.
  public let before: UInt8
  /// What a load returned; nil for a store.
  public let value: UInt64?
  /// PQ after it.
  public let after: UInt8
  /// Events that reached the router.
  public let notified: UInt64

  /// The access in words, for a failure.
  public var description: String {
    "\(op.rawValue) \(page.rawValue)+0x\(String(offset, radix: 16)) from PQ \(before)"
  }
}

/// All single accesses of one shape of ESB pages.
public struct OperationSet: Sendable, Decodable, CustomStringConvertible {
  /// Logarithm of the bytes of a source's pages together.
  public let esbShift: UInt8
  /// Whether StoreEOI was supported.
  public let storeEOI: Bool
  /// The accesses.
  public let rows: [OperationRow]

  /// The shape in words.
  public var description: String { "shift \(esbShift), StoreEOI \(storeEOI ? "on" : "off")" }
}

/// One step of a recorded sequence.
public struct SequenceStep: Sendable, Decodable, CustomStringConvertible {
  /// Which of the three sources, from 0.
  public let source: UInt32
  /// The page that was accessed.
  public let page: VectorPage
  /// The access.
  public let op: VectorAccess
  /// The byte offset in the page.
  public let offset: UInt64
  /// What a load returned; nil for a store.
  public let value: UInt64?
  /// Events that reached the router.
  public let notified: UInt64

  /// Reads the step from its six elements.
  /// - Parameter decoder: an array.
  /// - Throws: a decoding error when an element is missing or of another type.
  public init(from decoder: any Decoder) throws {
    var elements = try decoder.unkeyedContainer()
    source = try elements.decode(UInt32.self)
    page = try elements.decode(VectorPage.self)
    op = try elements.decode(VectorAccess.self)
    offset = try elements.decode(UInt64.self)
    value = try elements.decode(UInt64?.self)
    notified = try elements.decode(UInt64.self)
  }

  /// The step in words, for a failure.
  public var description: String {
    "\(op.rawValue) of source \(source), \(page.rawValue)+0x\(String(offset, radix: 16))"
  }
}

/// A recorded run over three neighbouring sources that start at PQ 01.
public struct VectorSequence: Sendable, Decodable {
  /// The number of the first source.
  public let base: UInt32
  /// The accesses, in order.
  public let steps: [SequenceStep]
  /// PQ of each source at the end.
  public let final: [UInt8]
}

/// All sequences of one shape of ESB pages.
public struct SequenceSet: Sendable, Decodable, CustomStringConvertible {
  /// Logarithm of the bytes of a source's pages together.
  public let esbShift: UInt8
  /// Whether StoreEOI was supported.
  public let storeEOI: Bool
  /// The runs.
  public let sequences: [VectorSequence]

  /// The shape in words.
  public var description: String { "shift \(esbShift), StoreEOI \(storeEOI ? "on" : "off")" }
}

/// What was recorded from QEMU 7.2, read once.
public enum Vectors {
  private static let operationFile = Result { try read([OperationSet].self, "esb-operations.json") }
  private static let sequenceFile = Result { try read([SequenceSet].self, "esb-sequences.json") }
  private static let routerFile = Result {
    try read([RouterSequence].self, "router-sequences.json")
  }
  private static let timaFile = Result { try read(TIMAVectors.self, "tima-accesses.json") }

  /// Single accesses, for every shape of ESB pages.
  public static var operations: [OperationSet] { get throws { try operationFile.get() } }

  /// Runs of accesses, for every shape of ESB pages.
  public static var sequences: [SequenceSet] { get throws { try sequenceFile.get() } }

  /// Runs of events on their whole way from source to vCPU.
  public static var routerSequences: [RouterSequence] { get throws { try routerFile.get() } }

  /// Every access to a TIMA page.
  public static var timaAccesses: TIMAVectors { get throws { try timaFile.get() } }

  private static func read<T: Decodable>(_ type: T.Type, _ name: String) throws -> T {
    let tests = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    let file = tests.appending(path: "Vectors").appending(path: name)
    return try JSONDecoder().decode(type, from: Data(contentsOf: file))
  }
}
