internal import XIVEModel

extension XIVEDevice {
  /// Finds the first run of existing pages that ends behind an offset.
  ///
  /// A run covers both pages of each source, also where sources have no trigger page.
  /// - Parameter offset: byte offset in the file.
  /// - Returns: byte offsets, or nil when no page follows.
  public func segment(endingAfter offset: UInt64) -> Range<UInt64>? {
    let size = map.pageByteCount
    let tima = map.offset(of: .connectedTIMA(.os))
    let hasTIMA = gate.pass(stripe: 0) { connections.now.servers.count < 2 }
    if hasTIMA, offset < tima + size { return tima..<tima + size }
    for window in ESBWindow.allCases {
      let base =
        window == .kernel ? map.kernelOffset(of: LISN(rawValue: 0), .trigger) : Region.esb.start
      let first = offset > base ? Int(clamping: (offset - base) / (2 * size)) : 0
      if let run = sources.backings.run(from: first) {
        let start = base + UInt64(run.lowerBound) * 2 * size
        return start..<base + UInt64(run.upperBound) * 2 * size
      }
    }
    return endSegment(endingAfter: offset) ?? timaSegment(endingAfter: offset)
      ?? phbSegment(endingAfter: offset)
  }

  /// The END pages of the first run of servers that have been connected.
  private func endSegment(endingAfter offset: UInt64) -> Range<UInt64>? {
    let size = 2 * UInt64(Priority.allCases.count) * map.pageByteCount
    let count = connectCounts.count
    let first = min(index(of: offset, in: .end, size), count)
    guard let start = (first..<count).first(where: hasBeenConnected) else { return nil }
    let end = (start..<count).first { !hasBeenConnected($0) } ?? count
    return Region.end.start + UInt64(start) * size..<Region.end.start + UInt64(end) * size
  }

  private func hasBeenConnected(_ server: Int) -> Bool {
    hasBeenConnected(Server(rawValue: UInt32(server)))
  }

  /// The OS page of the first connected vCPU.
  private func timaSegment(endingAfter offset: UInt64) -> Range<UInt64>? {
    let count = connectCounts.count
    let first = index(of: offset, in: .tima, UInt64(TIMAView.allCases.count) * map.pageByteCount)
    return gate.pass(stripe: 0) {
      (min(first, count)..<count).lazy.map { Server(rawValue: UInt32($0)) }
        .filter { self.connections.isConnected($0) }
        .map { self.map.offset(of: .tima($0, .os)) }
        .first { offset < $0 + self.map.pageByteCount }
        .map { $0..<$0 + self.map.pageByteCount }
    }
  }

  /// Which of a region's parts of a size an offset lies in; 0 in front of the region.
  private func index(of offset: UInt64, in region: Region, _ size: UInt64) -> Int {
    offset > region.start ? Int(clamping: (offset - region.start) / size) : 0
  }

  /// The pages of the first PHB whose own pages end behind an offset.
  private func phbSegment(endingAfter offset: UInt64) -> Range<UInt64>? {
    let firstRegion = Region.phbs.lowerBound
    var index = Int(max(offset >> Region.shift, firstRegion) - firstRegion)
    while let found = phbs.first(from: index) {
      let start = Region.phb(found).start
      let end = start + (phb(found)?.shape.irqCount ?? 0) * map.pageByteCount
      if end > max(start, offset) { return start..<end }
      index = Int(found.rawValue) + 1
    }
    return nil
  }
}
