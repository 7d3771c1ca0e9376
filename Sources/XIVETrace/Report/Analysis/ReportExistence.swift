internal import XIVEModel

/// The runs of subjects that existed when recording began, ascending and apart from each other.
struct ReportExistence: Sendable {
  let runs: [ClosedRange<ReportSubject>]

  init(_ device: TracedDevice) {
    let map = device.map
    let all = device.segments.flatMap { Self.split($0, map) }
      .compactMap { Self.subjects($0, map) }
      .sorted { ($0.lowerBound, $0.upperBound) < ($1.lowerBound, $1.upperBound) }
    // The kernel's window shows the sources of region 1 a second time.
    runs = all.reduce(into: []) { runs, run in
      if let last = runs.last, run.lowerBound.rawValue <= last.upperBound.rawValue + 1 {
        runs[runs.count - 1] = last.lowerBound...max(last.upperBound, run.upperBound)
      } else {
        runs.append(run)
      }
    }
  }

  /// The TIMA and the sources of the kernel's window are two things.
  private static func split(_ segment: Range<UInt64>, _ map: DeviceMap) -> [Range<UInt64>] {
    let border = DeviceMap.kernelESBPage << map.pageShift
    guard segment.contains(border), segment.lowerBound < border else { return [segment] }
    return [segment.lowerBound..<border, border..<segment.upperBound]
  }

  private static func subjects(_ segment: Range<UInt64>, _ map: DeviceMap)
    -> ClosedRange<ReportSubject>?
  {
    guard !segment.isEmpty, let first = map.target(at: segment.lowerBound),
      let last = map.target(at: segment.upperBound - 1)
    else { return nil }
    let (start, end) = (ReportSubject(first), ReportSubject(last))
    return start.sort == end.sort && start <= end ? start...end : nil
  }
}
