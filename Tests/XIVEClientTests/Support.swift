import Foundation
import SystemCalls
import XIVEClient
public import XIVEModel
import XIVETestSupport

/// Runs a program to its end and collects what it prints, standard error included.
func run(_ program: String, _ arguments: [String]) throws -> (code: Int32?, output: [String]) {
  let run = try ProgramRun(program, arguments)
  return (run.exitCode, run.lines)
}

/// The error that a call is refused with, or nil when it is not.
func refusal<Value: ~Copyable>(_ call: () throws(XIVEClientError) -> Value) -> XIVEClientError? {
  do {
    _ = try call()
    return nil
  } catch { return error }
}

/// How many mappings of a file this process has.
func mappingCount(of path: String) throws -> Int { try mappings(of: path).count }

/// This process's mappings of a file, as the system lists them.
func mappings(of path: String) throws -> [Substring] {
  // Not String(contentsOfFile:), which takes a short read of such a file for its end.
  let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: "/proc/self/maps"))
  let text = String(decoding: try file.readToEnd() ?? Data(), as: UTF8.self)
  return text.split(separator: "\n").filter { $0.hasSuffix(" \(path)") }
}

/// How many descriptors of a file this process has open.
func descriptorCount(of path: String) throws -> Int {
  try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count {
    (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)")) == path
  }
}

extension MappedRegion {
  /// Loads a register until it has a value: updates of a mapped page come a moment later.
  /// - Returns: the last value that was loaded.
  func load(at offset: Int, until value: UInt64, within milliseconds: Int = 10_000) -> UInt64 {
    for _ in 0..<milliseconds where load(at: offset) != value {
      MonotonicClock.sleep(nanoseconds: 1_000_000)
    }
    return load(at: offset)
  }
}

extension HardwareIRQ: ExpressibleByIntegerLiteral {
  /// Creates an interrupt number from a literal.
  public init(integerLiteral value: UInt16) { self.init(rawValue: value) }
}

extension PHBIndex: ExpressibleByIntegerLiteral {
  /// Creates an index from a literal.
  /// - Precondition: there is such an index.
  public init(integerLiteral value: UInt16) {
    guard let index = PHBIndex(rawValue: value) else { preconditionFailure("PHB \(value)") }
    self = index
  }
}

extension LISN: ExpressibleByIntegerLiteral {
  /// Creates a source number from a literal.
  public init(integerLiteral value: UInt32) { self.init(rawValue: value) }
}
