import PagedDevice
import Testing
import XIVEModel
import XIVETestSupport

@testable import XIVEDevice

@Suite("Exact access")
struct ExactAccessTests {
  private static let geometries = ESBGeometry.allCases

  /// Pages that take 8-byte accesses only, by device page within a region.
  private static let registerPages: [(region: UInt64, page: UInt64)] = [
    (0, 4), (0, 5), (0, 6), (1, 0), (1, 1), (1, 15), (2, 0), (2, 63), (16, 0), (1_039, 65_535),
  ]

  @Test("Register pages take 8 aligned bytes and nothing else", arguments: geometries)
  func sizesAndAlignment(geometry: ESBGeometry) throws {
    let rig = Rig(geometry: geometry)
    rig.setPQ(0, .queued)
    for (region, page) in Self.registerPages {
      let start = region << 40 + page << UInt64(geometry.pageShift)
      for size in 0...17 {
        for misalignment in UInt64(0)..<8 where size != 8 || misalignment != 0 {
          rig.expectRefused(at: start + 0x800 + misalignment, byteCount: size)
        }
      }
    }
  }

  @Test("TIMA pages take 1, 2, 4 and 8 aligned bytes and nothing else", arguments: geometries)
  func timaSizes(geometry: ESBGeometry) throws {
    let rig = Rig(geometry: geometry)
    for start in [2 * rig.map.pageByteCount, Region.tima.start] {
      for size in 0...17 {
        for misalignment in UInt64(0)..<8 {
          let offset = start + 0x10 + misalignment
          guard [1, 2, 4, 8].contains(size), misalignment % UInt64(size) == 0 else {
            rig.expectRefused(at: offset, byteCount: size)
            continue
          }
          let ones = size == 8 ? UInt64.max : 1 << UInt64(8 * size) - 1
          #expect(try rig.load(offset, byteCount: size) == ones)
          try rig.store(offset, .init(repeating: 0, count: size))
        }
      }
    }
  }

  @Test("Where the map has no page there is nothing to access")
  func noPage() {
    let rig = Rig()
    let offsets: [UInt64] = [
      rig.offset(8, .trigger), 0x200_0004_0000, 0x300_0001_0000, 4 << 40, 0x1000 << 40 + 8 * 16,
      0x1001 << 40, 1 << 62, .max - 7,
    ]
    for offset in offsets { rig.expectRefused(at: offset, byteCount: 8) }
  }

  @Test("An absent page loads all ones, drops stores and counts both as errors")
  func absentPages() throws {
    let rig = Rig(geometry: .one4K)
    rig.setPQ(0, .reset)
    let absent = [
      rig.offset(7, .management), rig.offset(7, .management, .kernel), rig.offset(0, .trigger),
      rig.offset(0, .trigger, .kernel), Region.end.start, 16 << 40,
    ]
    let states = rig.states
    for offset in absent {
      let errors = rig.counters.guestErrors
      #expect(try rig.load(offset) == .max)
      #expect(try rig.load(offset, by: Rig.reader) == .max)
      try rig.store(offset)
      #expect(rig.counters.guestErrors == errors + 3)
    }
    #expect(rig.states == states)
    #expect(rig.counters.exactLoads == UInt64(2 * absent.count))
    #expect(rig.counters.exactStores == UInt64(absent.count))
  }

  @Test(
    "A load without effect is all that a read-only descriptor may do", arguments: ESBWindow.allCases
  )
  func readOnly(window: ESBWindow) throws {
    let rig = Rig(storeEOI: true)
    for pq in PQ.allCases {
      rig.setPQ(1, pq)
      for offset in stride(from: UInt64(0), to: 4_096, by: 8) {
        let management = rig.offset(1, .management, window) + offset
        let trigger = rig.offset(1, .trigger, window) + offset
        if (0x800..<0xc00).contains(offset) {
          #expect(try rig.load(management, by: Rig.reader) == UInt64(pq.rawValue))
        } else {
          rig.expectRefused(.badDescriptor) { () throws(DeviceError) in
            try rig.load(management, by: Rig.reader)
          }
        }
        #expect(try rig.load(trigger, by: Rig.reader) == .max)
        for page in [management, trigger] {
          rig.expectRefused(.badDescriptor) { () throws(DeviceError) in
            try rig.store(page, by: Rig.reader)
          }
        }
      }
      #expect(rig.pq(1) == pq)
    }
  }

  @Test(
    "Every offset does what its operation says, on either window", arguments: geometries,
    [false, true])
  func operations(geometry: ESBGeometry, storeEOI: Bool) throws {
    let rig = Rig(geometry: geometry, storeEOI: storeEOI)
    for window in ESBWindow.allCases {
      for half in ESBHalf.allCases where geometry.pageCount == 2 || half == .management {
        for pq in PQ.allCases {
          for offset in stride(from: UInt64(0), to: rig.map.pageByteCount, by: 0x78) {
            try rig.compareOneAccess(half, window, pq, offset: offset)
          }
        }
      }
    }
  }

  @Test("What is stored does not matter")
  func dataIsIgnored() throws {
    let rig = Rig()
    var random = Seed.generator(stream: 40)
    for _ in 0..<100 {
      rig.setPQ(1, .reset)
      let bytes = random.next().memoryBytes
      try rig.store(rig.offset(1, .trigger), bytes)
      #expect(rig.pq(1) == .pending, "\(Seed.comment)")
    }
  }
}

extension Rig {
  /// Expects that a request is refused, and that nothing has changed.
  func expectRefused(
    _ error: DeviceError, sourceLocation: SourceLocation = #_sourceLocation,
    _ request: () throws(DeviceError) -> Void
  ) {
    let states = states
    let counters = counters
    let wakeUps = host.wakeUps
    #expect(throws: error, sourceLocation: sourceLocation) { try request() }
    #expect(self.states == states, sourceLocation: sourceLocation)
    #expect(self.counters == counters, sourceLocation: sourceLocation)
    #expect(host.wakeUps == wakeUps, sourceLocation: sourceLocation)
  }

  /// Expects that neither a load nor a store of a size is taken.
  func expectRefused(
    at offset: UInt64, byteCount: Int, sourceLocation: SourceLocation = #_sourceLocation
  ) {
    expectRefused(.invalid, sourceLocation: sourceLocation) { () throws(DeviceError) in
      try load(offset, byteCount: byteCount)
    }
    expectRefused(.invalid, sourceLocation: sourceLocation) { () throws(DeviceError) in
      try store(offset, .init(repeating: 0, count: byteCount))
    }
  }

  /// Performs a load and a store at an offset, each against the state machine alone.
  fileprivate func compareOneAccess(
    _ half: ESBHalf, _ window: ESBWindow, _ pq: PQ, offset: UInt64
  ) throws {
    let page = self.offset(2, half, window)
    let operations: [ESBOperation] = [
      .load(at: offset, of: half), .store(at: offset, of: half),
    ]
    for (operation, isLoad) in zip(operations, [true, false]) {
      setPQ(2, pq)
      var state = SourceState(rawValue: states[2])
      let before = counters
      let event = device.engine.event(for: operation)
      let outcome = event.map { state.perform($0) }
      if isLoad {
        #expect(try load(page + offset) == outcome?.value ?? .max, "load at \(offset)")
      } else {
        try store(page + offset)
      }
      #expect(states[2] == state.rawValue, "\(operation) at \(offset)")
      var expected = before
      expected.exactLoads += isLoad ? 1 : 0
      expected.exactStores += isLoad ? 0 : 1
      expected.events += outcome?.forwards == true ? 1 : 0
      expected.guestErrors += event == nil ? 1 : 0
      #expect(counters == expected, "\(operation) at \(offset)")
    }
  }
}
