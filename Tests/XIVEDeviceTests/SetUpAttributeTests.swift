import CXIVE
import PagedDevice
import Testing
import XIVEModel

@testable import XIVEDevice

private let machineGroup = XIVE_GROUP_MACHINE
private let sourceCount = UInt64(XIVE_MACHINE_NR_SOURCES)

extension Rig {
  /// Expects that a request is refused and that nothing at all has changed, of a machine.
  func expectNothingChanged(
    _ error: DeviceError, _ comment: Comment? = nil,
    sourceLocation: SourceLocation = #_sourceLocation, _ request: () throws(DeviceError) -> Void
  ) {
    let before = DeliverySnapshot(self)
    #expect(throws: error, comment, sourceLocation: sourceLocation) { try request() }
    #expect(DeliverySnapshot(self) == before, comment, sourceLocation: sourceLocation)
  }
}

@Suite("Group MACHINE: the number of sources")
struct SourceCountTests {
  private static let routes = PayloadRoute.allCases

  @Test("It is set once; the same value again is no change", arguments: routes)
  func once(route: PayloadRoute) throws {
    for first: UInt32 in [4, 7, 8] {
      let rig = Rig(sources: 8, existing: 4)
      #expect(try rig.get(machineGroup, sourceCount, as: UInt32.self, route) == 8)
      for count: UInt32 in [0] {
        rig.expectNothingChanged(.invalid) { () throws(DeviceError) in
          try rig.set(machineGroup, sourceCount, count, route)
        }
      }
      for count: UInt32 in [9, .max] {
        rig.expectNothingChanged(.outOfRange) { () throws(DeviceError) in
          try rig.set(machineGroup, sourceCount, count, route)
        }
      }
      // Source 3 exists.
      for count: UInt32 in [1, 3] {
        rig.expectNothingChanged(.busy) { () throws(DeviceError) in
          try rig.set(machineGroup, sourceCount, count, route)
        }
      }
      for _ in 0..<2 { try rig.set(machineGroup, sourceCount, first, route) }
      #expect(try rig.get(machineGroup, sourceCount, as: UInt32.self, route) == first)
      for count in UInt32(1)...8 where count != first {
        rig.expectNothingChanged(.busy) { () throws(DeviceError) in
          try rig.set(machineGroup, sourceCount, count, route)
        }
      }
    }
  }

  @Test("What is beyond does not exist for any request")
  func beyond() throws {
    let rig = try Rig.withPHB(sources: 8, existing: 4)
    let machine = try Machine(rig, cpus: 1)
    try rig.set(machineGroup, sourceCount, 5 as UInt32)
    try rig.set(2, 4, 0 as UInt64)
    for number: UInt64 in [5, 7] {
      let lisn = UInt32(number)
      rig.expectNothingChanged(.outOfRange) { () throws(DeviceError) in
        try rig.set(2, number, 0 as UInt64)
      }
      rig.expectNothingChanged(.notFound) { () throws(DeviceError) in
        try machine.route(lisn, to: 0, eisn: 1)
      }
      rig.expectNothingChanged(.notFound) { () throws(DeviceError) in
        try rig.set(5, number, 0 as UInt64)
      }
      rig.expectNothingChanged(.outOfRange) { () throws(DeviceError) in
        try rig.set(XIVE_GROUP_PASSTHROUGH, number, [0, 1, 1, 0], .inline)
      }
      rig.expectNothingChanged(.outOfRange) { () throws(DeviceError) in
        try rig.set(XIVE_GROUP_MSI, 1, msi(1, 1, lisn))
      }
      rig.expectNothingChanged(.invalid) { () throws(DeviceError) in
        try rig.storeRecord(lisn, xive_source_config(0, 6, 1, 0), .reset)
      }
      rig.expectNothingChanged(.outOfRange) { () throws(DeviceError) in
        try rig.device.createSource(LISN(rawValue: lisn))
      }
      for group: UInt32 in [2, 3, 5, XIVE_GROUP_PASSTHROUGH] {
        #expect(throws: DeviceError.noSuchAttribute) { try rig.kvm(.has, group: group, number) }
      }
      #expect(!rig.resolves(rig.offset(lisn, .management)))
    }
    rig.expectNothingChanged(.outOfRange) { () throws(DeviceError) in
      try rig.set(XIVE_GROUP_PASSTHROUGH, 4, [0, 1, 2, 0], .inline)
    }
    // The device as it was started.
    let info = try rig.get(XIVE_GROUP_INFO, 0, as: xive_info_geometry.self)
    #expect(info.sources == 8)
  }

  @Test("Running is 0 or 1")
  func running() throws {
    let rig = Rig()
    for value: UInt32 in [0, 0, 1, 1] {
      try rig.set(machineGroup, 2, value)
      #expect(try rig.get(machineGroup, 2, as: UInt32.self) == value)
    }
  }
}

@Suite("Group ADDRESS: where the guest sees the windows")
struct AddressAttributeTests {
  private static let group = XIVE_GROUP_ADDRESS

  @Test("Of several mistakes the first is answered", arguments: [ESBGeometry.two4K, .two64K])
  func order(geometry: ESBGeometry) throws {
    let page: UInt64 = geometry == .two4K ? 4_096 : 65_536
    let rig = Rig(geometry: geometry)
    for window: UInt64 in [0, 1] {
      #expect(throws: DeviceError.noSuchAttribute) {
        try rig.get(Self.group, window, as: UInt64.self)
      }
      for address in [1, page - 1, page / 2, page + 8, .max] as [UInt64] {
        rig.expectNothingChanged(.invalid, "\(address)") { () throws(DeviceError) in
          try rig.set(Self.group, window, address)
        }
      }
    }
    try rig.set(Self.group, 0, 16 * page)
    #expect(try rig.get(Self.group, 0, as: UInt64.self, .pointer) == 16 * page)
    _ = try rig.connect(Rig.writer, to: 0)
    for _ in 0..<2 {
      // Set already comes before the vCPU, which comes before the overlap.
      rig.expectNothingChanged(.exists) { () throws(DeviceError) in
        try rig.set(Self.group, 0, 16 * page)
      }
      rig.expectNothingChanged(.invalid) { () throws(DeviceError) in
        try rig.set(Self.group, 0, 1 as UInt64)
      }
      rig.expectNothingChanged(.busy) { () throws(DeviceError) in
        try rig.set(Self.group, 1, 16 * page)
      }
      // The first vCPU has been, that is enough.
      rig.device.closed(Rig.writer)?.completion()
    }
  }

  /// Sizes in device pages: the TIMA's, and the ESB window's of 8 sources.
  private static let sizes: [UInt64] = [4, 16]

  @Test("Windows may touch and not overlap", arguments: [ESBGeometry.two4K, .two64K], [0, 1])
  func overlap(geometry: ESBGeometry, first: Int) throws {
    let page: UInt64 = geometry == .two4K ? 4_096 : 65_536
    let start: UInt64 = 100
    let (size, other) = (Self.sizes[first], Self.sizes[1 - first])
    for place in start - other - 1...start + size + 1 {
      let rig = Rig(sources: 8, existing: 1, geometry: geometry)
      try rig.set(Self.group, UInt64(first), start * page)
      let isClear = place + other <= start || place >= start + size
      guard !isClear else {
        try rig.set(Self.group, UInt64(1 - first), place * page)
        #expect(try rig.get(Self.group, UInt64(1 - first), as: UInt64.self) == place * page)
        continue
      }
      rig.expectNothingChanged(.invalid, "\(place)") { () throws(DeviceError) in
        try rig.set(Self.group, UInt64(1 - first), place * page)
      }
    }
  }

  @Test("A window may end at the last address", arguments: [ESBGeometry.two4K, .two64K], [0, 1])
  func end(geometry: ESBGeometry, window: Int) throws {
    let page: UInt64 = geometry == .two4K ? 4_096 : 65_536
    let rig = Rig(sources: 8, existing: 1, geometry: geometry)
    let last = 0 &- Self.sizes[window] * page
    for address in [last + page, last + 2 * page, 0 &- page] where address != last {
      rig.expectNothingChanged(.invalid) { () throws(DeviceError) in
        try rig.set(Self.group, UInt64(window), address)
      }
    }
    try rig.set(Self.group, UInt64(window), last)
    rig.expectNothingChanged(.invalid) { () throws(DeviceError) in
      try rig.set(Self.group, UInt64(1 - window), 0 &- Self.sizes[1 - window] * page)
    }
    try rig.set(Self.group, UInt64(1 - window), 0 as UInt64)
  }

  @Test("The ESB window is as long as the sources that there are")
  func sources() throws {
    let rig = Rig(sources: 8, existing: 1)
    try rig.set(machineGroup, sourceCount, 2 as UInt32)
    try rig.set(Self.group, 1, 0 as UInt64)
    try rig.set(Self.group, 0, 4 * 4_096 as UInt64)
  }
}

@Suite("Group MSI: where messages go")
struct MessageAttributeTests {
  private static let group = XIVE_GROUP_MSI

  private func route(_ rig: Rig, _ data: UInt32, of requester: UInt64 = 5, at address: UInt64 = 1)
    -> [UInt32]?
  {
    let query = xive_msi_query(address: address, data: data, zero: 0)
    let bytes = unsafe withUnsafeBytes(of: query) { unsafe [UInt8]($0) }
    let answer = try? rig.inline(
      xive_get_attr_request, group: Self.group, requester, bytes, by: Rig.reader)
    return answer.map { answer in (0..<4).map { answer.value(at: 16 + 4 * $0) } }
  }

  @Test("A message is known by requester, address and data, and by nothing less")
  func routes() throws {
    let machine = try Machine(cpus: 1)
    let rig = machine.rig
    try rig.set(Self.group, 5, msi(0x40, 2, 1))
    try machine.route(1, to: 0, eisn: 0x77)
    #expect(route(rig, 0x40) == [1, 0, 6, 0x77])
    #expect(route(rig, 0x41) == [2, 0, 0xff, 0], "nobody has routed source 2")
    try machine.route(1, to: 0, eisn: 0x77, isMasked: true)
    #expect(route(rig, 0x40) == [1, 0, 0xff, 0])
    #expect(route(rig, 0x3f) == nil && route(rig, 0x42) == nil)
    #expect(route(rig, 0x40, of: 4) == nil && route(rig, 0x40, at: 2) == nil)
    #expect(rig.pq(1) == .off && rig.counters.events == 0, "nothing was sent")
    // The last data of all, and another requester's same messages.
    try rig.set(Self.group, 5, msi(.max, 1, 0))
    #expect(route(rig, .max) == [0, 0, 0xff, 0])
    try rig.set(Self.group, UInt64(UInt32.max), msi(0x40, 2, 0))
    #expect(route(rig, 0x41, of: UInt64(UInt32.max)) == [1, 0, 0xff, 0])
  }

  @Test("Routes of one requester share no message, at every edge")
  func overlap() throws {
    for first in UInt32(0x3c)...0x46 {
      let rig = Rig()
      try rig.set(Self.group, 5, msi(0x40, 3, 1))
      let isClear = first + 2 <= 0x40 || first >= 0x43
      guard !isClear else {
        try rig.set(Self.group, 5, msi(first, 2, 2))
        continue
      }
      rig.expectNothingChanged(.exists) { () throws(DeviceError) in
        try rig.set(Self.group, 5, msi(first, 2, 2))
      }
      try rig.set(Self.group, 6, msi(first, 2, 2))
    }
  }

  @Test("A route goes as it came; what is left stays, and its place can be taken again")
  func removal() throws {
    let rig = Rig()
    try rig.set(Self.group, 5, msi(0x40, 2, 1))
    try rig.set(Self.group, 5, msi(0x42, 1, 0))
    rig.expectNothingChanged(.notFound) { () throws(DeviceError) in
      try rig.set(Self.group, 5, msi(0x41, 0, 0))
    }
    try rig.set(Self.group, 5, msi(0x40, 0, 0))
    #expect(route(rig, 0x40) == nil && route(rig, 0x41) == nil)
    #expect(route(rig, 0x42) == [0, 0, 0xff, 0])
    try rig.set(Self.group, 5, msi(0x41, 1, 3))
    #expect(route(rig, 0x41) == [3, 0, 0xff, 0])
  }
}

private func msi(_ data: UInt32, _ count: UInt32, _ lisn: UInt32) -> xive_msi {
  xive_msi(address: 1, first_data: data, count: count, first_lisn: lisn, zero: 0)
}

@Suite("KVM_CHECK_EXTENSION")
struct ExtensionTests {
  /// `KVM_CAP_IRQFD`, `ENABLE_CAP`, `ONE_REG`, `SIGNAL_MSI`, `IRQFD_RESAMPLE`, `DEVICE_CTRL`, `MSI_DEVID`,
  /// `PPC_IRQ_XIVE`. Source: Linux `include/uapi/linux/kvm.h`.
  private static let known: Set<UInt64> = [32, 54, 70, 77, 82, 89, 131, 169]

  @Test("1 for what there is, 0 for everything else, whoever asks")
  func all() throws {
    let rig = Rig()
    for capability in Array(0...300) + [1 << 32 | 32, .max] as [UInt64] {
      for opener in [Rig.writer, Rig.reader] {
        var request = ControlRequest(
          number: 0xae03, input: [], argument: capability, outputByteCount: 0, opener: opener,
          caller: FakeMemory())
        #expect(try rig.device.control(&request) == (Self.known.contains(capability) ? 1 : 0))
      }
    }
  }
}
