import CXIVE
import PagedDevice
import Testing
import XIVEModel

@testable import XIVEDevice

@Suite("Control requests")
struct RequestTests {
  private static let source = UInt32(KVM_DEV_XIVE_GRP_SOURCE)
  private static let inlineRequests = [xive_set_attr_request, xive_get_attr_request]

  /// Groups that the device does not have (yet).
  private static let unknownGroups: [UInt32] = [
    0, 6, 0x3f, XIVE_GROUP_TABLES, 0x47, 0x4f, 0x54, 1 << 31, .max,
  ]

  @Test("An unknown group is ENXIO, whatever is asked of it", arguments: unknownGroups)
  func unknownGroup(group: UInt32) {
    let rig = Rig()
    for opener in [Rig.writer, Rig.reader] {
      for request in KVMRequest.allCases {
        rig.expectRefused(.noSuchAttribute) { () throws(DeviceError) in
          try rig.kvm(request, group: group, 0, by: opener)
        }
      }
      for request in Self.inlineRequests {
        rig.expectRefused(.noSuchAttribute) { () throws(DeviceError) in
          _ = try rig.inline(request, group: group, 0, by: opener)
        }
      }
    }
  }

  @Test("An unknown request is ENOTTY, however near to a known one")
  func unknownRequest() {
    let rig = Rig()
    let known =
      KVMRequest.allCases.map(\.rawValue) + Self.inlineRequests + VMRequest.allCases.map(\.rawValue)
    let near = known.flatMap { number in (0..<32).map { number ^ 1 << $0 } }
    for number in near + [0, .max, 0x4020_ae60] where !known.contains(number) {
      rig.expectRefused(.unknownRequest) { () throws(DeviceError) in
        _ = try rig.control(number, .init(repeating: 0, count: Int(number >> 16 & 0x3fff)))
      }
    }
  }

  @Test("A known request of another size is EINVAL")
  func size() {
    let rig = Rig()
    let requests =
      KVMRequest.allCases.map { ($0.rawValue, 24) } + Self.inlineRequests.map { ($0, 128) }
      + VMRequest.allCases.map { ($0.rawValue, Int($0.rawValue >> 16 & 0x3fff)) }
    for (number, size) in requests {
      for count in 0...256 where count != size {
        rig.expectRefused(.invalid) { () throws(DeviceError) in
          _ = try rig.control(number, .init(repeating: 0, count: count))
        }
      }
    }
  }

  private static let flags: [UInt32] = [1, 2, 1 << 31, .max]

  @Test("Inline requests have no flags", arguments: inlineRequests, flags)
  func inlineFlags(number: UInt32, flags: UInt32) {
    let rig = Rig()
    for group in [Self.source, XIVE_GROUP_INFO, 0x99] {
      rig.expectRefused(.invalid) { () throws(DeviceError) in
        _ = try rig.inline(number, group: group, 0, flags: flags)
      }
    }
  }

  @Test("KVM's requests ignore their flags, as the kernel does")
  func pointerFlags() throws {
    let rig = Rig()
    let memory = FakeMemory(at: 0x1000, 0)
    try rig.kvm(.set, group: Self.source, 7, at: 0x1000, flags: .max, memory: memory)
    #expect(rig.resolves(rig.offset(7, .management)))
  }

  @Test("Any byte behind an inline value must be clear", arguments: 8..<Int(XIVE_ATTR_DATA_SIZE))
  func trailingBytes(index: Int) {
    let rig = Rig()
    var payload = [UInt8](repeating: 0, count: Int(XIVE_ATTR_DATA_SIZE))
    payload[index] = 1
    rig.expectRefused(.invalid) { () throws(DeviceError) in
      _ = try rig.inline(xive_set_attr_request, group: Self.source, 5, payload)
    }
    #expect(!rig.resolves(rig.offset(5, .management)))
  }

  @Test("The answer to an inline set is the request, and KVM's requests answer nothing")
  func answers() throws {
    let rig = Rig()
    let payload = UInt64(1).memoryBytes
    let answer = try rig.inline(xive_set_attr_request, group: Self.source, 5, payload)
    let header = UInt32(0).memoryBytes + Self.source.memoryBytes + UInt64(5).memoryBytes
    #expect(answer == header + payload + [UInt8](repeating: 0, count: 104))
    for request in KVMRequest.allCases { #expect(request.rawValue >> 30 == 1) }
  }
}

@Suite("Group INFO: what the device is and has done")
struct InfoTests {
  private func info<Info>(_ rig: Rig, _ attribute: UInt32, as type: Info.Type) throws -> Info {
    let answer = try rig.inline(
      xive_get_attr_request, group: XIVE_GROUP_INFO, UInt64(attribute), by: Rig.reader)
    #expect(answer.count == 128)
    #expect(answer.dropFirst(16 + MemoryLayout<Info>.size).allSatisfy { $0 == 0 })
    return unsafe answer.withUnsafeBytes {
      unsafe $0.loadUnaligned(fromByteOffset: 16, as: Info.self)
    }
  }

  @Test("The geometry is the configuration's", arguments: ESBGeometry.allCases, [false, true])
  func geometry(shape: ESBGeometry, storeEOI: Bool) throws {
    let rig = Rig(sources: 5_000, existing: 1, servers: 77, geometry: shape, storeEOI: storeEOI)
    rig.create(4_999)
    let info = try info(rig, XIVE_INFO_GEOMETRY, as: xive_info_geometry.self)
    #expect(info.sources == 5_000)
    #expect(info.device_page_shift == (shape == .one4K || shape == .two4K ? 12 : 16))
    #expect(info.esb_pages == (shape == .one4K || shape == .one64K ? 1 : 2))
    #expect(info.flags == (storeEOI ? XIVE_INFO_STORE_EOI : 0))
    #expect(info.max_vcpus == 77)
    #expect(info.source_blocks == 2)
    #expect(info.zero == 0)
    #expect(rig.device.pageByteCount == 1 << info.device_page_shift)
  }

  @Test("Each counter counts its own thing")
  func counters() throws {
    let rig = Rig()
    let page = rig.offset(1, .management)
    for _ in 0..<2 { _ = try rig.image(page) }
    for offset: UInt64 in [8 << 40, 9 << 40, 10 << 40] { #expect(!rig.resolves(offset)) }
    for _ in 0..<5 { try rig.load(page + 0x800) }
    rig.setPQ(1, .reset)
    for _ in 0..<7 { try rig.store(rig.offset(1, .trigger)) }
    var image = try rig.image(page)
    for slot in 384..<384 + 11 { image.setSlot(slot, 0) }
    rig.writeBack(image, at: page)
    rig.updates()
    for _ in 0..<13 { try rig.load(rig.offset(6, .management)) }
    let info = try info(rig, XIVE_INFO_COUNTERS, as: xive_info_counters.self)
    #expect(info.fills == 3)
    #expect(info.refused_fills == 3)
    #expect(info.exact_loads == 5 + 13)
    #expect(info.exact_stores == 7)
    #expect(info.mapped_stores == 11)
    #expect(info.live_updates == 1)
    #expect(info.events == 1)
    #expect(info.guest_errors == 13)
    #expect(info.host_events == 0)
    #expect(info.zaps == 0)
    let zero = info.zero
    #expect([zero.0, zero.1, zero.2, zero.3] == .init(repeating: 0, count: 4))
  }

  @Test("By pointer the structure goes to the caller's address, in one piece")
  func pointer() throws {
    let rig = Rig()
    for (attribute, size) in [(XIVE_INFO_GEOMETRY, 32), (XIVE_INFO_COUNTERS, 112)] {
      let memory = FakeMemory()
      try rig.kvm(.get, group: XIVE_GROUP_INFO, UInt64(attribute), at: 0xabc, memory: memory)
      let answer = try rig.inline(
        xive_get_attr_request, group: XIVE_GROUP_INFO, UInt64(attribute))
      #expect(memory.accesses == [.write(0xabc, Array(answer[16..<16 + size]))])
      try rig.kvm(.has, group: XIVE_GROUP_INFO, UInt64(attribute), by: Rig.reader)
    }
  }

  @Test("Memory that cannot be written is EFAULT")
  func fault() {
    let rig = Rig()
    let memory = FakeMemory(isWritable: false)
    rig.expectRefused(.badAddress) { () throws(DeviceError) in
      try rig.kvm(.get, group: XIVE_GROUP_INFO, 0, at: 1, memory: memory)
    }
  }

  private static let others: [UInt64] = [6, 7, 1 << 32, .max]

  @Test("No other attribute exists, and none can be set", arguments: others)
  func unknownAttribute(attribute: UInt64) {
    let rig = Rig()
    for request in [KVMRequest.get, .has] {
      rig.expectRefused(.noSuchAttribute) { () throws(DeviceError) in
        try rig.kvm(request, group: XIVE_GROUP_INFO, attribute)
      }
    }
    for settable in [attribute, 0, 1] {
      rig.expectRefused(.noSuchAttribute) { () throws(DeviceError) in
        _ = try rig.inline(xive_set_attr_request, group: XIVE_GROUP_INFO, settable)
      }
    }
  }
}
