internal import SystemCalls
internal import SystemPackage

/// What is measured against a served file.
enum FileFigure: CaseIterable {
  /// The first load of a page: one page fill.
  case coldFault
  /// An exact load of 8 bytes.
  case exactLoad
  /// An exact store of 8 bytes.
  case exactStore
  /// The first loads of all pages of a range that the kernel fills by requests of many pages.
  case rangeFill
}

/// Touches a served file: the same code, at the same offsets, against every server.
struct BenchConsumer: ~Copyable {
  private let file: OwnedDescriptor

  /// Sources that the file must have.
  static let sourceCount = 1 << 16
  /// Pages of a range: the kernel reads twice a huge page for a mapping that asks for huge pages.
  static let rangePageCount = 1_024

  private static let pageByteCount = 4_096
  /// The ESB region: trigger and management pages in turns.
  private static let region: UInt64 = 1 << 40
  /// The first page of ranges, beyond those that single faults use, and on a huge page's boundary.
  private static let firstRangePage = 1 << 16
  /// The first page of exact accesses, which nobody maps.
  private static let firstExactPage = 1 << 16 | 1 << 15
  private static let exactSourceCount = 64
  /// A load that resets PQ, so that the next trigger is forwarded: an operation with all its effects.
  private static let setReset: UInt64 = 0xc00

  /// Opens the file for exact and mapped access.
  init(_ path: String) throws(Errno) {
    let file = try OwnedDescriptor(opening: path, [.readWrite, .direct])
    // Until somebody asks, the kernel takes a mounted file for empty, and every touch for one beyond its end.
    _ = try file.status()
    self.file = file
  }

  /// Measures one turn.
  /// - Returns: nanoseconds, one figure a fault, load, store, or page of a range.
  func measure(_ figure: FileFigure, round: Int, _ plan: BenchPlan) throws(Errno) -> [Double] {
    switch figure {
    case .coldFault:
      return try coldFaults(firstPage: round * plan.accesses, count: plan.accesses)
    case .exactLoad:
      return try repeated(plan.accesses) { index throws(Errno) in
        try load(at: Self.exactPage(index) + UInt64(Self.pageByteCount) + Self.setReset)
      }
    case .exactStore:
      return try repeated(plan.accesses) { index throws(Errno) in
        try store(at: Self.exactPage(index))
      }
    case .rangeFill:
      var samples: [Double] = []
      for index in 0..<plan.ranges { samples.append(try rangeFill(index)) }
      return samples
    }
  }

  /// Pages that a turn of a figure has the server fill.
  static func pageCount(of figure: FileFigure, _ plan: BenchPlan) -> Int {
    switch figure {
    case .coldFault: plan.accesses
    case .rangeFill: plan.ranges * rangePageCount
    case .exactLoad, .exactStore: 0
    }
  }

  private static func exactPage(_ index: Int) -> UInt64 {
    region + UInt64((firstExactPage + index % exactSourceCount * 2) * pageByteCount)
  }

  private func repeated(_ count: Int, _ access: (Int) throws(Errno) -> Void) throws(Errno)
    -> [Double]
  {
    var samples: [Double] = []
    samples.reserveCapacity(count)
    for index in 0..<count {
      let start = MonotonicClock.nanoseconds
      try access(index)
      samples.append(Double(MonotonicClock.nanoseconds - start))
    }
    return samples
  }

  private func load(at offset: UInt64) throws(Errno) {
    var value: UInt64 = 0
    _ = try unsafe withUnsafeMutableBytes(of: &value) { bytes throws(Errno) in
      try unsafe file.read(into: bytes, at: offset)
    }
  }

  private func store(at offset: UInt64) throws(Errno) {
    _ = try unsafe withUnsafeBytes(of: UInt64(0)) { bytes throws(Errno) in
      try unsafe file.write(bytes, at: offset)
    }
  }

  private func coldFaults(firstPage: Int, count: Int) throws(Errno) -> [Double] {
    try withColdPages(firstPage, count) { region throws(Errno) in
      try repeated(count) { index throws(Errno) in
        _ = region.load(at: index * Self.pageByteCount)
      }
    }
  }

  private func rangeFill(_ index: Int) throws(Errno) -> Double {
    let count = Self.rangePageCount
    return try withColdPages(Self.firstRangePage + index * count, count) { region throws(Errno) in
      try region.adviseHugePages()
      let start = MonotonicClock.nanoseconds
      for page in 0..<count { _ = region.load(at: page * Self.pageByteCount) }
      return Double(MonotonicClock.nanoseconds - start) / Double(count)
    }
  }

  /// Maps pages, makes sure that none of them is cached, and drops them afterwards.
  private func withColdPages<Result>(
    _ first: Int, _ count: Int, _ body: (borrowing MappedRegion) throws(Errno) -> Result
  ) throws(Errno) -> Result {
    let offset = Self.region + UInt64(first * Self.pageByteCount)
    let byteCount = count * Self.pageByteCount
    defer { file.dropCache(offset..<offset + UInt64(byteCount)) }
    let region = try MappedRegion(file, offset: offset, byteCount: byteCount, isWritable: false)
    guard try region.residentPageCount == 0 else { throw .resourceBusy }
    return try body(region)
  }
}
