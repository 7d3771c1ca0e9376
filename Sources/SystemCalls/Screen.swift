internal import CSystemCalls
internal import Glibc
public import SystemPackage

/// The whole screen of the terminal at standard input and output, given back with its owner.
///
/// The text that was on it comes back, too. A signal that ends the process gives it back first. One in a process, once.
/// Thread rule: one thread.
public struct Screen: ~Copyable {
  /// Takes the screen.
  /// - Throws: `ENOTTY` where there is no terminal.
  public init() throws(Errno) { try valueOrErrno(csystem_enter_screen(0, 1)) }

  deinit { csystem_leave_screen() }

  /// Whether standard input and output are a terminal.
  public static var isThere: Bool { isatty(0) == 1 && isatty(1) == 1 }

  /// Columns and rows as they are now; 80 and 24 where the terminal does not know.
  public var size: (columns: Int, rows: Int) {
    var columns: CInt = 0
    var rows: CInt = 0
    guard unsafe csystem_screen_size(1, &columns, &rows) == 0, columns > 0, rows > 0 else {
      return (80, 24)
    }
    return (Int(columns), Int(rows))
  }

  /// Waits for keys.
  /// - Parameter milliseconds: how long; a change of the size ends the wait as well.
  /// - Returns: the bytes of the keys that were pressed, or nil when the terminal has gone. A key of several bytes, such as
  ///   an arrow, begins with an escape.
  public func keys(within milliseconds: Int) -> [UInt8]? {
    guard csystem_wait_readable(0, -1, CInt(clamping: milliseconds)) == 1 else { return [] }
    var bytes = [UInt8](repeating: 0, count: 64)
    let count = unsafe bytes.withUnsafeMutableBytes { unsafe read(0, $0.baseAddress, $0.count) }
    // Readable and nothing there is the end: somebody has hung up.
    return count > 0 ? Array(bytes[..<count]) : nil
  }

  /// Replaces all that is shown.
  /// - Parameter lines: from the top; each with the control sequences that show it.
  /// - Throws: the error of `write`.
  public func show(_ lines: [String]) throws(Errno) {
    // Over what was there, line by line: a screen that is cleared first would flicker. Each is cleared before it is
    // written, for behind a line as wide as the screen that would take its last character.
    let head = lines.dropLast().map { "\u{1b}[K\($0)\r\n" }.joined()
    var rest = Array("\u{1b}[H\(head)\u{1b}[J\(lines.last ?? "")".utf8)[...]
    while !rest.isEmpty {
      let count = unsafe rest.withUnsafeBytes { unsafe write(1, $0.baseAddress, $0.count) }
      if count < 0, errno != EINTR { throw Errno(rawValue: errno) }
      rest = rest.dropFirst(max(0, count))
    }
  }
}
