internal import CElfutils

/// Names of instructions in a running process.
///
/// Thread rule: one thread at a time. It opens the program's files and reads `/proc/PID/maps`, which may wait for a
/// process that changes its mappings.
@safe
final class Symbols {
  // SAFETY: begun in `init`, ended in `deinit`.
  private let session: OpaquePointer?
  private let process: Int32
  private var names: [UInt64: String] = [:]

  /// Begins with the files that a process has mapped now.
  /// - Parameter process: its number.
  init(ofProcess process: Int32) {
    unsafe session = celfutils_begin()
    self.process = process
    learn()
  }

  deinit { unsafe dwfl_end(session) }

  /// Names an instruction: `function+0x10`, or `file+0x1234`, or the bare address.
  ///
  /// A name stays what it was first: the process may be gone when it is asked for again.
  func name(of address: UInt64) -> String {
    if let known = names[address] { return known }
    // Nothing there: a library that was loaded since.
    let name = find(address) ?? relearned(address) ?? hexadecimalText(address)
    names[address] = name
    return name
  }

  private func relearned(_ address: UInt64) -> String? {
    learn()
    return find(address)
  }

  private func learn() {
    guard unsafe session != nil else { return }
    _ = unsafe celfutils_learn(session, process)
  }

  private func find(_ address: UInt64) -> String? {
    var place = unsafe celfutils_place()
    guard unsafe session != nil, unsafe celfutils_find(session, address, &place) != 0 else {
      return nil
    }
    if let symbol = unsafe place.symbol {
      return unsafe "\(String(cString: symbol))+\(hexadecimalText(place.symbol_distance))"
    }
    guard let path = unsafe place.file else { return nil }
    let file = unsafe String(cString: path).split(separator: "/").last.map(String.init) ?? "?"
    return unsafe "\(file)+\(hexadecimalText(place.file_distance))"
  }
}

/// A number in hexadecimal, with 0x.
func hexadecimalText(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }
