internal import TraceRecords
internal import XIVEModel

/// Conditions as users write them: values with commas between them.
extension TraceFilter {
  /// Why a condition cannot be read.
  public struct Failure: Error, Hashable, Sendable, CustomStringConvertible {
    /// The option, what was written, and what may be.
    public let description: String

    init(_ option: String, _ text: some StringProtocol, _ remedy: String) {
      description = "--\(option) '\(text)': \(remedy)"
    }
  }

  /// Reads kinds: `fill,zap`; `exact` for loads and stores.
  /// - Parameter text: what the user wrote.
  /// - Throws: ``Failure``.
  public mutating func addKinds(_ text: String) throws(Failure) {
    for word in try Self.words("kind", text) {
      if word == "exact" {
        kinds = (kinds ?? []).union([.load, .store])
      } else if let kind = TraceKind(name: String(word)) {
        kinds = (kinds ?? []).union([kind])
      } else {
        let all = TraceKind.allCases.map(\.name).joined(separator: ", ")
        throw Failure("kind", word, "write exact, or one of \(all)")
      }
    }
  }

  /// Reads sources: `17`, `0x1300-0x133f`.
  /// - Parameter text: what the user wrote.
  /// - Throws: ``Failure``.
  public mutating func addSources(_ text: String) throws(Failure) {
    for word in try Self.words("lisn", text) {
      let ends = word.split(separator: "-", omittingEmptySubsequences: false)
      let numbers = ends.compactMap { OffsetName.number(String($0)).flatMap(UInt32.init(exactly:)) }
      guard numbers.count == ends.count, ends.count <= 2, let first = numbers.first,
        let last = numbers.last, first <= last
      else { throw Failure("lisn", word, "write 17, or a range such as 0x1300-0x133f") }
      sources = (sources ?? []) + [first...last]
    }
  }

  /// Reads regions: `esb`, `phb`, `phb:3`.
  /// - Parameter text: what the user wrote.
  /// - Throws: ``Failure``.
  public mutating func addRegions(_ text: String) throws(Failure) {
    for word in try Self.words("region", text) {
      regions = (regions ?? []).union([try Self.region(word)])
    }
  }

  private static func region(_ word: Substring) throws(Failure) -> RegionChoice {
    if word == "phb" { return .anyPHB }
    let plain: [Region] = [.kernel, .esb, .end, .tima, .sourceState]
    if let region = plain.first(where: { TraceEvent.name($0) == word }) { return .one(region) }
    if word.hasPrefix("phb:"), let number = OffsetName.number(String(word.dropFirst(4))),
      let index = UInt16(exactly: number).flatMap(PHBIndex.init(rawValue:))
    {
      return .one(.phb(index))
    }
    throw Failure("region", word, "write kernel, esb, end, tima, state, phb or phb:3")
  }

  /// Reads process ids.
  /// - Parameter text: what the user wrote.
  /// - Throws: ``Failure``.
  public mutating func addProcesses(_ text: String) throws(Failure) {
    processes = (processes ?? []).union(try Self.ids("pid", text))
  }

  /// Reads thread ids.
  /// - Parameter text: what the user wrote.
  /// - Throws: ``Failure``.
  public mutating func addThreads(_ text: String) throws(Failure) {
    threads = (threads ?? []).union(try Self.ids("tid", text))
  }

  private static func ids(_ option: String, _ text: String) throws(Failure) -> [UInt32] {
    var ids: [UInt32] = []
    for word in try words(option, text) {
      guard let number = UInt32(word) else { throw Failure(option, word, "write a number") }
      ids.append(number)
    }
    return ids
  }

  /// Reads a thread's name, which may have a comma in it. The kernel keeps 15 bytes of a name.
  /// - Parameter text: what the user wrote.
  /// - Throws: ``Failure``.
  public mutating func addCommand(_ text: String) throws(Failure) {
    guard !text.isEmpty else { throw Failure("comm", text, "write a thread's name") }
    commands = (commands ?? []).union([String(decoding: text.utf8.prefix(15), as: UTF8.self)])
  }

  /// Reads results: `ok`, `failed`, `sigbus`, `EINVAL`, `22`, `fenced`.
  /// - Parameter text: what the user wrote.
  /// - Throws: ``Failure``.
  public mutating func addResults(_ text: String) throws(Failure) {
    for word in try Self.words("result", text) {
      results = (results ?? []).union([try Self.result(String(word))])
    }
  }

  private static func result(_ word: String) throws(Failure) -> ResultChoice {
    switch word {
    case "ok": return .one(.ok)
    case "failed": return .failed
    case "sigbus": return .sigbus
    default: break
    }
    if let reason = TraceResult.Absence.allCases.first(where: { $0.name == word }) {
      return .one(.absent(reason))
    }
    if let number = ErrorNumber.number(word) ?? Int32(word), (1...127).contains(number) {
      return .one(.errno(number))
    }
    let reasons = TraceResult.Absence.allCases.map(\.name).joined(separator: ", ")
    throw Failure("result", word, "write ok, failed, sigbus, EINVAL, 22, or one of \(reasons)")
  }

  /// Reads the least time of an event: `20us`, `1.5ms`, `500ns`, or microseconds without a unit.
  /// - Parameter text: what the user wrote.
  /// - Throws: ``Failure``.
  public mutating func setMinimumTime(_ text: String) throws(Failure) {
    guard let nanoseconds = TimeWords.nanoseconds(text, unit: 1_000) else {
      throw Failure("min-time", text, "write 20us, 1.5ms or 500ns")
    }
    minimumDuration = nanoseconds
  }

  private static func words(_ option: String, _ text: String) throws(Failure) -> [Substring] {
    let words = text.split(separator: ",", omittingEmptySubsequences: false)
    guard !words.contains(where: \.isEmpty) else {
      throw Failure(option, text, "write one value, or several with commas between them")
    }
    return words
  }
}

/// Times as users write them.
public enum TimeWords {
  /// Reads a time.
  /// - Parameters:
  ///   - text: a number, and `ns`, `us`, `ms`, `s` or `m` behind it if wanted.
  ///   - unit: nanoseconds of a number without a unit.
  /// - Returns: nanoseconds; nil for anything that is no time of less than 10 days.
  public static func nanoseconds(_ text: String, unit: UInt64) -> UInt64? {
    let digits = text.prefix { $0.isNumber || $0 == "." }
    let units: [Substring: UInt64] = [
      "": unit, "ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000, "m": 60_000_000_000,
    ]
    guard let scale = units[text.dropFirst(digits.count)], digits.first?.isNumber == true,
      let number = Double(digits)
    else { return nil }
    let nanoseconds = number * Double(scale)
    return nanoseconds < 864_000e9 ? UInt64(nanoseconds) : nil
  }
}
