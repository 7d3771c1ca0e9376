import CXIVE
import PagedDevice
import Testing
import XIVEModel

@testable import XIVEDevice

/// How a payload gets to the device.
enum PayloadRoute: CaseIterable {
  case pointer, inline
}

extension Rig {
  /// Sets an attribute and completes what follows from it.
  func set(
    _ group: UInt32, _ attribute: UInt64, _ words: [UInt32], _ route: PayloadRoute,
    by opener: Opener = writer
  ) throws(DeviceError) {
    let payload = words.flatMap(\.memoryBytes)
    var request: ControlRequest
    switch route {
    case .pointer:
      request = ControlRequest(
        number: KVMRequest.set.rawValue,
        input: UInt32(0).memoryBytes + group.memoryBytes + attribute.memoryBytes
          + UInt64(0x7000).memoryBytes,
        outputByteCount: 0, opener: opener,
        caller: FakeMemory([0x7000: payload]))
    case .inline:
      let padding = [UInt8](repeating: 0, count: Int(XIVE_ATTR_DATA_SIZE) - payload.count)
      request = ControlRequest(
        number: xive_set_attr_request,
        input: UInt32(0).memoryBytes + group.memoryBytes + attribute.memoryBytes + payload
          + padding,
        outputByteCount: 128, opener: opener, caller: FakeMemory())
    }
    _ = try device.control(&request)
    request.invalidation?.completion()
  }

  /// Gets an attribute's 32-bit words.
  func get(_ group: UInt32, _ attribute: UInt64, _ route: PayloadRoute, _ count: Int)
    throws(DeviceError) -> [UInt32]
  {
    let bytes: [UInt8]
    switch route {
    case .pointer:
      let memory = FakeMemory()
      try kvm(.get, group: group, attribute, at: 0x9000, by: Self.reader, memory: memory)
      guard case .write(0x9000, let written) = memory.accesses.first else { throw .badAddress }
      bytes = written
    case .inline:
      let answer = try inline(xive_get_attr_request, group: group, attribute, by: Self.reader)
      bytes = Array(answer[16..<16 + count * 4])
    }
    return stride(from: 0, to: bytes.count, by: 4).map { start in
      bytes[start..<start + 4].reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }
  }
}

@Suite("Groups PHB, PASSTHROUGH and HWIRQ: every refusal, by pointer and inline")
struct PassthroughAttributeTests {
  private static let routes = PayloadRoute.allCases
  private static let phb = XIVE_GROUP_PHB
  private static let passthrough = XIVE_GROUP_PASSTHROUGH
  private static let hwirq = XIVE_GROUP_HWIRQ
  private static let unmap = XIVE_PASSTHROUGH_UNMAP
  private static let prefault = XIVE_PASSTHROUGH_PREFAULT

  /// Sources 0-3 exist of 8; PHB 0 has irqs 0-3 and 4-5 (LSI); source 3 is mapped to irq 3.
  private func rig() throws -> Rig {
    let rig = try Rig.withPHB()
    try rig.map(3, to: 3)
    return rig
  }

  private func refuse(
    _ error: DeviceError, _ group: UInt32, _ attribute: UInt64, _ words: [UInt32],
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let rig = try rig()
    for route in Self.routes {
      rig.expectNothing(error, "\(words) \(route)", sourceLocation: sourceLocation) {
        () throws(DeviceError) in
        try rig.set(group, attribute, words, route)
      }
    }
  }

  // MARK: - PHB

  @Test("A PHB is added, told and removed as the words say", arguments: routes)
  func phb(route: PayloadRoute) throws {
    let rig = Rig()
    let last = UInt64(XIVE_MAX_PHBS) - 1
    for attribute in [0, 5, last] {
      try rig.set(Self.phb, attribute, [3, 2, XIVE_PHB_STORE_EOI, 0], route)
      #expect(try rig.get(Self.phb, attribute, route, 4) == [3, 2, 1, 0])
    }
    try rig.set(Self.passthrough, 1, [UInt32(last), 1, 2, 0], route)
    #expect(try rig.get(Self.phb, last, route, 4) == [3, 2, 1, 2])
    for attribute in [0, 5, last] {
      try rig.set(Self.phb, attribute, [0, 0, 0, 0], route)
      #expect(throws: DeviceError.notFound) { try rig.get(Self.phb, attribute, route, 4) }
    }
    #expect(rig.backing(1) == .ipi && rig.backing(2) == .ipi)
  }

  @Test("A PHB is EEXIST, ENOENT, E2BIG or EINVAL")
  func phbErrors() throws {
    try refuse(.exists, Self.phb, 0, [1, 0, 0, 0])
    try refuse(.notFound, Self.phb, 1, [0, 0, 0, 0])
    try refuse(.outOfRange, Self.phb, 1, [65_537, 0, 0, 0])
    try refuse(.outOfRange, Self.phb, 1, [65_536, 1, 0, 0])
    try refuse(.outOfRange, Self.phb, 1, [.max, .max, 1, 0])
    // A flag and no interrupts is neither a PHB nor its removal.
    try refuse(.invalid, Self.phb, 0, [0, 0, 1, 0])
    try refuse(.invalid, Self.phb, 1, [1, 1, 0, 1])
    for bit in 1..<32 { try refuse(.invalid, Self.phb, 1, [1, 1, 1 << bit, 0]) }
  }

  @Test("The largest PHB has 65,536 interrupts", arguments: routes)
  func largest(route: PayloadRoute) throws {
    let rig = Rig()
    try rig.set(Self.phb, 7, [65_535, 1, 0, 0], route)
    #expect(rig.resolves(rig.ownPage(.max, phb: 7)))
    try rig.set(Self.passthrough, 1, [7, 65_535, 1, 0], route)
    #expect(rig.backing(1) == .phb(Rig.phb(7), Rig.irq(.max)))
    rig.expectNothing(.notFound) { () throws(DeviceError) in
      try rig.set(Self.passthrough, 2, [7, 65_535, 2, 0], route)
    }
  }

  // MARK: - PASSTHROUGH

  @Test("A run is mapped, told and unmapped", arguments: routes, [0, prefault])
  func run(route: PayloadRoute, flags: UInt32) throws {
    let rig = try rig()
    try rig.set(Self.passthrough, 0, [0, 0, 3, flags], route)
    for lisn in UInt64(0)..<4 {
      let state = try rig.get(Self.passthrough, lisn, route, 6)
      #expect(state == [0, UInt32(lisn), 1, 0, 2, 0])
    }
    try rig.set(Self.passthrough, 1, [0, 1, 2, flags | Self.unmap], route)
    #expect(try rig.get(Self.passthrough, 1, route, 6) == [0, 0, 0, 0, 3, 0])
    #expect(try rig.get(Self.passthrough, 0, route, 6) == [0, 0, 1, 0, 2, 0])
  }

  @Test("A run is ENOENT, EINVAL or E2BIG, and nothing of it happens")
  func runErrors() throws {
    for unmap in [0, Self.unmap] {
      for prefault in [0, Self.prefault] {
        let flags = unmap | prefault
        // No such PHB, no such interrupt.
        try refuse(.notFound, Self.passthrough, 1, [1, 0, 1, flags])
        try refuse(.notFound, Self.passthrough, 1, [XIVE_MAX_PHBS, 0, 1, flags])
        try refuse(.notFound, Self.passthrough, 1, [65_536, 0, 1, flags])
        try refuse(.notFound, Self.passthrough, 1, [0, 6, 1, flags])
        try refuse(.notFound, Self.passthrough, 1, [0, 5, 2, flags])
        try refuse(.notFound, Self.passthrough, 1, [0, 65_536, 1, flags])
        try refuse(.notFound, Self.passthrough, 1, [0, .max, 1, flags])
        // Nothing, or beyond the table.
        try refuse(.invalid, Self.passthrough, 1, [0, 0, 0, flags])
        try refuse(.outOfRange, Self.passthrough, 8, [0, 0, 1, flags])
        try refuse(.outOfRange, Self.passthrough, 7, [0, 0, 2, flags])
        try refuse(.outOfRange, Self.passthrough, 1, [0, 0, .max, flags])
        try refuse(.outOfRange, Self.passthrough, 1 << 32 | 1, [0, 0, 1, flags])
        try refuse(.outOfRange, Self.passthrough, .max, [0, 0, 1, flags])
      }
    }
    for bit in 2..<32 { try refuse(.invalid, Self.passthrough, 1, [0, 0, 1, 1 << bit]) }
  }

  @Test("A run that fails at its last source leaves the first as it was")
  func lastFails() throws {
    // Mapping: source 3 is mapped; source 4 was never created; interrupt 3 is taken.
    try refuse(.invalid, Self.passthrough, 0, [0, 0, 4, 0])
    try refuse(.invalid, Self.passthrough, 1, [0, 0, 3, Self.prefault])
    try refuse(.invalid, Self.passthrough, 4, [0, 0, 1, 0])
    try refuse(.invalid, Self.passthrough, 0, [0, 1, 3, 0])
    // Unmapping: not mapped, mapped to another interrupt, mapped to another PHB.
    try refuse(.notFound, Self.passthrough, 2, [0, 2, 2, Self.unmap])
    try refuse(.notFound, Self.passthrough, 3, [0, 3, 2, Self.unmap])
    try refuse(.notFound, Self.passthrough, 3, [0, 2, 1, Self.unmap])
    let rig = try rig()
    try rig.addPHB(1)
    for route in Self.routes {
      rig.expectNothing(.notFound) { () throws(DeviceError) in
        try rig.set(Self.passthrough, 3, [1, 3, 1, Self.unmap], route)
      }
    }
  }

  @Test("What a source is mapped to: EINVAL where there is none, E2BIG beyond the table")
  func passthroughGet() throws {
    let rig = try rig()
    for route in Self.routes {
      rig.expectNothing(.invalid) { () throws(DeviceError) in
        _ = try rig.get(Self.passthrough, 4, route, 6)
      }
      rig.expectNothing(.outOfRange) { () throws(DeviceError) in
        _ = try rig.get(Self.passthrough, 8, route, 6)
      }
    }
  }

  // MARK: - HWIRQ

  private func attribute(_ phb: UInt64, _ irq: UInt64) -> UInt64 { phb << 32 | irq }

  @Test("A device triggers, holds and lowers lines, and is fenced", arguments: routes)
  func operations(route: PayloadRoute) throws {
    let rig = try rig()
    try rig.setHardwarePQ(0, .reset)
    try rig.setHardwarePQ(4, .reset)
    try rig.set(Self.hwirq, attribute(0, 0), [XIVE_HWIRQ_TRIGGER, 0], route)
    #expect(try rig.get(Self.hwirq, attribute(0, 0), route, 2) == [2, 0])
    try rig.set(Self.hwirq, attribute(0, 4), [XIVE_HWIRQ_ASSERT, 0], route)
    #expect(try rig.get(Self.hwirq, attribute(0, 4), route, 2) == [2, 1])
    try rig.set(Self.hwirq, attribute(0, 4), [XIVE_HWIRQ_DEASSERT, 0], route)
    #expect(try rig.get(Self.hwirq, attribute(0, 4), route, 2) == [2, 0])
    try rig.set(Self.hwirq, attribute(0, 5), [XIVE_HWIRQ_FENCE, 0], route)
    #expect(try rig.get(rig.ownPage(0)) == .max)
    try rig.set(Self.hwirq, attribute(0, 1), [XIVE_HWIRQ_UNFENCE, 0], route)
    #expect(try rig.get(rig.ownPage(0)) == 2)
    #expect(rig.hostEvents == 2)
  }

  @Test("A device's operation is EINVAL or ENOENT")
  func hardwareErrors() throws {
    for operation in [0, 6, .max] as [UInt32] {
      try refuse(.invalid, Self.hwirq, attribute(0, 0), [operation, 0])
    }
    for operation in UInt32(1)...5 {
      try refuse(.invalid, Self.hwirq, attribute(0, 0), [operation, 1])
      try refuse(.notFound, Self.hwirq, attribute(0, 6), [operation, 0])
      try refuse(.notFound, Self.hwirq, attribute(1, 0), [operation, 0])
      try refuse(.notFound, Self.hwirq, attribute(1_024, 0), [operation, 0])
      try refuse(.notFound, Self.hwirq, attribute(1 << 16, 0), [operation, 0])
      try refuse(.notFound, Self.hwirq, attribute(0, 65_536), [operation, 0])
    }
    try refuse(.invalid, Self.hwirq, attribute(0, 4), [XIVE_HWIRQ_TRIGGER, 0])
    try refuse(.invalid, Self.hwirq, attribute(0, 0), [XIVE_HWIRQ_ASSERT, 0])
    try refuse(.invalid, Self.hwirq, attribute(0, 0), [XIVE_HWIRQ_DEASSERT, 0])
    let rig = try rig()
    for route in Self.routes {
      for wrong in [attribute(0, 6), attribute(1, 0), attribute(0, 65_536), .max] {
        rig.expectNothing(.notFound) { () throws(DeviceError) in
          _ = try rig.get(Self.hwirq, wrong, route, 2)
        }
      }
    }
  }

  // MARK: - All three

  private static let groups: [(UInt32, UInt64, [UInt32])] = [
    (phb, 1, [1, 0, 0, 0]), (phb, 0, [0, 0, 0, 0]), (passthrough, 1, [0, 1, 1, 0]),
    (passthrough, 3, [0, 3, 1, 1]), (hwirq, 0, [4, 0]), (hwirq, 3, [1, 0]),
  ]

  @Test("A descriptor without write permission changes nothing and may look", arguments: groups)
  func readOnly(group: UInt32, attribute: UInt64, words: [UInt32]) throws {
    let rig = try rig()
    for route in Self.routes {
      rig.expectNothing(.badDescriptor) { () throws(DeviceError) in
        try rig.set(group, attribute, words, route, by: Rig.reader)
      }
      #expect(throws: Never.self) { try rig.get(group, group == Self.phb ? 0 : 1, route, 2) }
    }
  }

  @Test("A payload that cannot be read is EFAULT, one that is too long EINVAL", arguments: groups)
  func payload(group: UInt32, attribute: UInt64, words: [UInt32]) throws {
    let rig = try rig()
    rig.expectNothing(.badAddress) { () throws(DeviceError) in
      try rig.kvm(.set, group: group, attribute, at: 0x1000)
    }
    let short = FakeMemory([0x1000: Array(words.flatMap(\.memoryBytes).dropLast())])
    rig.expectNothing(.badAddress) { () throws(DeviceError) in
      try rig.kvm(.set, group: group, attribute, at: 0x1000, memory: short)
    }
    rig.expectNothing(.invalid) { () throws(DeviceError) in
      try rig.set(group, attribute, words + [0, 0, 1], .inline)
    }
    let sealed = FakeMemory(isWritable: false)
    rig.expectNothing(.badAddress) { () throws(DeviceError) in
      try rig.kvm(.get, group: group, group == Self.phb ? 0 : 1, at: 0x1000, memory: sealed)
    }
    rig.expectNothing(.invalid) { () throws(DeviceError) in
      let payload = words.flatMap(\.memoryBytes)
      _ = try rig.inline(xive_set_attr_request, group: group, attribute, payload, flags: 1)
    }
  }

  @Test("HAS tells which attributes there can be, and looks at nothing else")
  func has() throws {
    let rig = try rig()
    let present: [(UInt32, UInt64)] = [
      (Self.phb, 0), (Self.phb, 1_023), (Self.passthrough, 0), (Self.passthrough, 7),
      (Self.hwirq, attribute(1_023, 65_535)),
    ]
    let absent: [(UInt32, UInt64)] = [
      (Self.phb, 1_024), (Self.phb, 65_536), (Self.phb, .max), (Self.passthrough, 8),
      (Self.passthrough, .max), (Self.hwirq, attribute(1_024, 0)),
      (Self.hwirq, attribute(0, 65_536)), (0x46, 0), (0x47, 0),
    ]
    let before = Snapshot(rig)
    for (group, attribute) in present { try rig.kvm(.has, group: group, attribute, by: Rig.reader) }
    #expect(Snapshot(rig) == before)
    for (group, attribute) in absent {
      rig.expectNothing(.noSuchAttribute, "group \(group), \(attribute)") {
        () throws(DeviceError) in
        try rig.kvm(.has, group: group, attribute)
      }
    }
    for route in Self.routes {
      for attribute: UInt64 in [1_024, 65_536, .max] {
        rig.expectNothing(.noSuchAttribute) { () throws(DeviceError) in
          try rig.set(Self.phb, attribute, [1, 0, 0, 0], route)
        }
        rig.expectNothing(.noSuchAttribute) { () throws(DeviceError) in
          _ = try rig.get(Self.phb, attribute, route, 4)
        }
      }
    }
  }
}
