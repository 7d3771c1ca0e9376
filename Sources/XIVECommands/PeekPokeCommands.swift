internal import ArgumentParser
internal import DeviceClient
internal import XIVEClient
internal import XIVEModel

/// `xive peek`: one exact load.
struct PeekCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "peek",
    abstract: "Perform one exact 8-byte load.",
    discussion:
      "On a management page a load is an operation: 000 ends the interrupt, c00-fff sets PQ.")

  @Argument(help: "The device file.") var path: String
  @Argument(help: "Where: a number, or esb:17:management+0x800, tima:os+0x10, end:8:esn, phb:0:3.")
  var offset: String
  @Flag(help: "Print a JSON object.") var json = false

  func run() throws {
    try reporting {
      let device = try XIVEDescriptor(path)
      let offset = try device.offset(named: offset)
      let value = try wrap { () throws(DeviceClientError) in try device.device.load(at: offset) }
      if json {
        try printJSON(AccessReport(offset: offset, value: value))
      } else {
        print(hexadecimal(value, digits: 16))
      }
    }
  }
}

/// `xive poke`: one exact store.
struct PokeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "poke",
    abstract: "Perform one exact 8-byte store.",
    discussion: "An ESB page does not look at the value: the offset is the operation.")

  @Argument(help: "The device file.") var path: String
  @Argument(help: "Where: a number, or esb:17:trigger, esb:17:management+0xc00.") var offset: String
  @Argument(help: "The value to store, decimal or 0x hexadecimal.") var value: String
  @Flag(help: "Print a JSON object.") var json = false

  func run() throws {
    guard let number = OffsetName.number(value) else {
      throw ValidationError("'\(value)' is no number of 64 bits")
    }
    try reporting {
      let device = try XIVEDescriptor(path)
      let offset = try device.offset(named: offset)
      try wrap { () throws(DeviceClientError) in try device.device.store(number, at: offset) }
      if json { try printJSON(AccessReport(offset: offset, value: number)) }
    }
  }
}

private struct AccessReport: Encodable {
  let schemaVersion = 1
  let offset: UInt64
  let offsetHex: String
  let value: UInt64
  let valueHex: String

  init(offset: UInt64, value: UInt64) {
    self.offset = offset
    self.value = value
    offsetHex = hexadecimal(offset)
    valueHex = hexadecimal(value, digits: 16)
  }
}

extension XIVEDescriptor {
  /// Reads an offset as the user wrote it; a mistake in it is wrong usage.
  fileprivate func offset(named text: String) throws -> UInt64 {
    do { return try OffsetName(text, map: map).offset } catch {
      throw ValidationError("\(error)")
    }
  }
}

/// Gives a refusal by the device the type that commands report.
private func wrap<Value>(_ body: () throws(DeviceClientError) -> Value) throws -> Value {
  do { return try body() } catch { throw XIVEClientError.device(error) }
}
