internal import TraceRecords
internal import XIVEModel

/// A hot-plug operation.
struct TopEvent: Hashable, Sendable {
  private let end: UInt64
  private let nanoseconds: UInt64
  private let kind: String
  private let words: String

  init(_ record: TraceRecord) {
    nanoseconds = UInt64(record.queueTime) + UInt64(record.serviceTime)
    end = record.time &+ nanoseconds
    kind = record.kind == .fence && record.value == 0 ? "unfence" : record.kind?.name ?? ""
    words = Self.words(record)
  }

  private static func words(_ record: TraceRecord) -> String {
    let text =
      switch record.kind {
      case .map, .unmap: run(record)
      case .plug: shape(record)
      case .unplug: "PHB \(phb(record)), \(record.value) of its interrupts were mapped"
      default: "PHB \(phb(record))"
      }
    if case .errno(let number) = record.result { return "\(text): refused, errno \(number)" }
    return text
  }

  private static func phb(_ record: TraceRecord) -> String {
    record.hardware.map { "\($0.phb)" } ?? "-"
  }

  private static func run(_ record: TraceRecord) -> String {
    let first = LISN(rawValue: record.number ?? 0)
    let sources = record.value == 1 ? "LISN \(first)" : "\(record.value) LISNs from \(first)"
    guard let hardware = record.hardware else { return sources }
    return "\(sources), PHB \(hardware.phb) irq \(hardware.irq)"
  }

  private static func shape(_ record: TraceRecord) -> String {
    let messages = UInt32(truncatingIfNeeded: record.value)
    let lines = UInt32(truncatingIfNeeded: record.value >> 32) & 0x7fff_ffff
    let eoi = record.value >> 63 == 1 ? ", StoreEOI" : ""
    return "PHB \(phb(record)), \(messages) MSIs, \(lines) LSIs\(eoi)"
  }

  func row(at now: UInt64) -> TopView.Hotplug {
    TopView.Hotplug(
      kind: kind, what: words, secondsAgo: Double(now &- min(end, now)) / 1e9,
      microseconds: Double(nanoseconds) / 1e3)
  }
}
