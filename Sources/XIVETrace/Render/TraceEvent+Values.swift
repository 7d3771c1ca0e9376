internal import TraceRecords
internal import XIVEModel

/// The columns of an event's numbers.
extension TraceEvent {
  /// The kind's name; a number for one that this version does not know.
  ///
  /// A fault that the kernel could serve by itself is a minor one.
  var kindName: String {
    if record.kind == .kernelFault, sight?.fault.outcome == .minor { return "minor-fault" }
    return record.kind?.name ?? "kind-\(record.rawKind)"
  }

  /// Microseconds of waiting and of service: `1.2+13.4us`; of service alone where nothing was waited for.
  var timeWords: String {
    guard duration > 0 else { return "" }
    let service = TimeWords.microseconds(serviceTime) + "us"
    return queueTime == 0 ? service : TimeWords.microseconds(queueTime) + "+" + service
  }

  /// What the kind's value says: `= 0x2` of a load, `64 pages` of a zap; nil for nothing.
  var valueWords: String? {
    switch record.kind {
    case .load: hasState ? "= " + sized : nil
    case .store, .writeBack: sized
    case .fill, .zap, .update: sizeWords
    case .plug: shapeWords
    case .unplug: record.value == 0 ? nil : "\(record.value) sources unmapped"
    case .fence: record.value == 0 ? "no longer fenced" : "fenced"
    case .eoi: record.value == 1 ? "next event forwarded" : nil
    case .notify: "OS ring \(Self.hex(record.value, digits: 16))"
    case .attribute: record.value == 0 ? nil : Self.hex(record.value)
    case .guestError: GuestErrorName(record.value)?.name ?? "error \(record.value)"
    case .task: record.threadName
    case .forward: routeWords
    case .publish, .map, .unmap, .trigger, .gap, .kernelFault, nil: nil
    }
  }

  /// Whether a load gave anything but all ones for want of state.
  private var hasState: Bool {
    if case .absent = record.result { false } else { record.result == .ok }
  }

  private var sized: String {
    let words = Self.hex(record.value)
    let size = record.accessByteCount
    return size == 8 ? words : "\(words) (\(size) byte\(size == 1 ? "" : "s"))"
  }

  private var sizeWords: String? {
    if pageCount > 1 { return "\(pageCount) pages" }
    return record.value == 0 || record.value == map.pageByteCount ? nil : "\(record.value) bytes"
  }

  /// Where an event goes: what its source's EAS says.
  private var routeWords: String? {
    let eas = EAS(rawValue: record.value)
    guard eas.isValid else { return nil }
    return eas.isMasked
      ? "masked" : "to END \(eas.end.rawValue) as \(Self.hex(UInt64(eas.eisn.rawValue)))"
  }

  private var shapeWords: String {
    let shape = PHBWords(record.value)
    let lsis = shape.lsis == 0 ? "" : ", \(shape.lsis) LSIs"
    return "\(shape.msis) MSIs\(lsis)\(shape.storeEOI ? ", StoreEOI" : "")"
  }

  static func hex(_ value: UInt64, digits: Int = 1) -> String {
    let text = String(value, radix: 16)
    return "0x" + String(repeating: "0", count: max(0, digits - text.count)) + text
  }
}

/// What a `plug` record says of the PHB. Source: `xive.h`, `XIVE_TRACE_PLUG`.
struct PHBWords {
  let msis: UInt32
  let lsis: UInt32
  let storeEOI: Bool

  init(_ value: UInt64) {
    msis = UInt32(truncatingIfNeeded: value)
    lsis = UInt32(value >> 32) & 0x7fff_ffff
    storeEOI = value >> 63 == 1
  }
}

extension TimeWords {
  /// Microseconds with one digit behind the point.
  static func microseconds(_ nanoseconds: UInt64) -> String {
    "\(nanoseconds / 1_000).\(nanoseconds % 1_000 / 100)"
  }

  /// Seconds with so many digits behind the point.
  static func seconds(_ nanoseconds: UInt64, digits: Int = 6) -> String {
    "\(nanoseconds / 1_000_000_000)." + fraction(nanoseconds, digits)
  }

  /// The time of day: `13:59:07.000123`.
  static func timeOfDay(_ nanoseconds: UInt64) -> String {
    let seconds = nanoseconds / 1_000_000_000
    let parts = [seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60].map {
      $0 < 10 ? "0\($0)" : "\($0)"
    }
    return parts.joined(separator: ":") + "." + fraction(nanoseconds, 6)
  }

  private static func fraction(_ nanoseconds: UInt64, _ digits: Int) -> String {
    let text = String(nanoseconds % 1_000_000_000)
    return String((String(repeating: "0", count: 9 - text.count) + text).prefix(digits))
  }
}
