internal import ArgumentParser
internal import XIVEClient
internal import XIVEModel

/// `xive peek`: one exact load.
struct PeekCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "peek",
    abstract: "Perform one exact load.",
    discussion: """
      A load can be an operation: on a management page 000 ends the interrupt and c00-fff sets PQ; in a TIMA \
      810 acknowledges, with --size 2.
      """)

  @Argument(help: "The device file.") var path: String
  @Argument(help: "Where: a number, or esb:17:management+0x800, tima:os+0x10, end:8:esn, phb:0:3.")
  var offset: String
  @Option(help: "Bytes of the register: 1, 2, 4 or 8.") var size: RegisterSize = .eight
  @Flag(help: "Print a JSON object.") var json = false

  func run() throws {
    try reporting {
      let device = try XIVEDescriptor(path)
      let offset = try device.offset(named: offset)
      let value = try device.load(at: offset, byteCount: size.rawValue)
      if json {
        try printJSON(AccessReport(offset: offset, value: value, size))
      } else {
        print(hexadecimal(value, digits: size.digits))
      }
    }
  }
}

/// `xive poke`: one exact store.
struct PokeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "poke",
    abstract: "Perform one exact store.",
    discussion: """
      An ESB page does not look at the value: the offset is the operation. A TIMA does: 11 sets CPPR, with --size 1.
      """)

  @Argument(help: "The device file.") var path: String
  @Argument(help: "Where: a number, or esb:17:trigger, esb:17:management+0xc00.") var offset: String
  @Argument(help: "The value to store, decimal or 0x hexadecimal.") var value: String
  @Option(help: "Bytes of the register: 1, 2, 4 or 8.") var size: RegisterSize = .eight
  @Flag(help: "Print a JSON object.") var json = false

  func run() throws {
    guard let number = OffsetName.number(value), number <= size.largest else {
      throw ValidationError("'\(value)' is no number of \(size.rawValue * 8) bits")
    }
    try reporting {
      let device = try XIVEDescriptor(path)
      let offset = try device.offset(named: offset)
      try device.store(number, at: offset, byteCount: size.rawValue)
      if json { try printJSON(AccessReport(offset: offset, value: number, size)) }
    }
  }
}

private struct AccessReport: Encodable {
  let schemaVersion = 1
  let offset: UInt64
  let offsetHex: String
  let byteCount: Int
  let value: UInt64
  let valueHex: String

  init(offset: UInt64, value: UInt64, _ size: RegisterSize) {
    self.offset = offset
    self.value = value
    byteCount = size.rawValue
    offsetHex = hexadecimal(offset)
    valueHex = hexadecimal(value, digits: size.digits)
  }
}

/// The bytes of a register; which of them a page takes is the device's to say.
enum RegisterSize: Int, CaseIterable, ExpressibleByArgument {
  case one = 1
  case two = 2
  case four = 4
  case eight = 8

  /// Hexadecimal digits of a value.
  var digits: Int { rawValue * 2 }
  /// The largest value.
  var largest: UInt64 { .max >> (64 - rawValue * 8) }
}

extension XIVEDescriptor {
  /// Reads an offset as the user wrote it; a mistake in it is wrong usage.
  fileprivate func offset(named text: String) throws -> UInt64 {
    do { return try OffsetName(text, map: map).offset } catch {
      throw ValidationError("\(error)")
    }
  }
}
