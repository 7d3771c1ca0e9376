internal import XIVEClient
internal import XIVEModel
internal import XIVETrace

extension Trace {
  /// The options by which `xive serve` serves a device like this one, as it was when recording began.
  ///
  /// Write-backs come when they are asked for, and records are made from the start. Whether a source that existed was
  /// level-sensitive, and which of a PHB's interrupts are, its pages do not tell: messages.
  var serveOptions: [String] {
    let geometry = device.geometry
    let start = ReplayStart(self)
    var words = [
      "--trace", "--tick", "0", "--sources", "\(geometry.sourceCount)", "--max-vcpus",
      "\(geometry.serverCount)", "--page-size", geometry.pageShift == 16 ? "64k" : "4k",
      "--esb-pages", "\(geometry.pagesPerSource)",
    ]
    if geometry.supportsStoreEOI { words.append("--store-eoi") }
    for run in device.sourceRuns(without: start.createdSources) {
      words += ["--create", "\(run.lowerBound)-\(run.upperBound)"]
    }
    for (phb, count) in device.phbs where !start.addedPHBs.contains(phb) {
      words += ["--phb", "\(phb):\(count)"]
    }
    return words
  }
}

extension TracedDevice {
  /// Runs of sources that existed, but for some.
  fileprivate func sourceRuns(without others: Set<UInt32>) -> [ClosedRange<UInt32>] {
    var runs: [ClosedRange<UInt32>] = []
    for pages in segments(in: .esb) where !pages.isEmpty {
      for lisn in UInt32(pages.lowerBound / 2)...UInt32((pages.upperBound - 1) / 2)
      where !others.contains(lisn) {
        if let last = runs.last, last.upperBound + 1 >= lisn {
          runs[runs.count - 1] = last.lowerBound...lisn
        } else {
          runs.append(lisn...lisn)
        }
      }
    }
    return runs
  }

  /// PHBs that were there, with the number of their interrupts.
  fileprivate var phbs: [(UInt16, UInt64)] {
    Region.phbs.compactMap { number in
      guard let region = Region(rawValue: number),
        let last = segments(in: region).last?.upperBound
      else { return nil }
      return (UInt16(number - Region.phbs.lowerBound), last)
    }
  }

  /// The parts of a region that existed, in pages of it.
  private func segments(in region: Region) -> [Range<UInt64>] {
    let whole = region.start..<region.start + 1 << Region.shift
    return segments.filter { $0.overlaps(whole) }.map { segment in
      let part = segment.clamped(to: whole)
      let first = (part.lowerBound - whole.lowerBound) >> map.pageShift
      return first..<max(first, (part.upperBound - whole.lowerBound) >> map.pageShift)
    }
  }
}
