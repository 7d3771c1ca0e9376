internal import XIVEModel

/// What a device has before a state is given to it.
struct RestoreTarget {
  let sourceCount: UInt32
  let serverCount: UInt32
  let sources: [SourceRecord]
  /// Servers whose vCPUs have state.
  let servers: [Server]
  let connectedCount: Int
  /// Valid event notification descriptors.
  let ends: [ENDIndex]
  let memory: [MemorySlot]

  /// Asks a device.
  init(_ device: borrowing XIVEDescriptor) throws(XIVEClientError) {
    sourceCount = try device.sourceCount()
    serverCount = try device.serverCount()
    sources = try device.sourceRecords(LISN(rawValue: 0)..<LISN(rawValue: sourceCount))
    let tables = try DeviceTables(device)
    servers = tables.vps.map(\.server)
    connectedCount = tables.vps.count { $0.state.isConnected }
    ends = tables.ends.map(\.index)
    var memory: [MemorySlot] = []
    for slot in 0..<32 as Range<UInt32> {
      if let part = try device.memory(slot: slot) { memory.append(part) }
    }
    self.memory = memory
  }
}

extension MachineState {
  /// Checks that a device can be given this state, and changes nothing.
  /// - Parameter device: any descriptor of it.
  /// - Throws: ``StateFileError/inconsistent(_:_:)`` for a state that no machine can be in;
  ///   ``MachineStateError/differs(_:expected:found:remedy:)`` with the first difference.
  public func check(against device: borrowing XIVEDescriptor) throws(XIVEClientError) {
    _ = try target(device)
  }

  /// Checks the state, then the device, and tells what that has.
  func target(_ device: borrowing XIVEDescriptor) throws(XIVEClientError) -> RestoreTarget {
    do { try check() } catch { throw .stateFile("the state", error) }
    do throws(MachineStateError) { try compare(device.geometry) } catch { throw .state(error) }
    let target = try RestoreTarget(device)
    do throws(MachineStateError) {
      try compareCounts(target)
      try compareQueues(target)
      try compareMappings(target)
    } catch { throw .state(error) }
    return target
  }

  private func compare(_ other: DeviceGeometry) throws(MachineStateError) {
    try equal("sources", geometry.sourceCount, other.sourceCount) { "--sources \($0)" }
    try equal("bytes of a device page", 1 << geometry.pageShift, 1 << other.pageShift) {
      "--page-size \($0 >> 10)k"
    }
    try equal("ESB pages of a source", geometry.pagesPerSource, other.pagesPerSource) {
      "--esb-pages \($0)"
    }
    try equal("room for servers", geometry.serverCount, other.serverCount) { "--max-vcpus \($0)" }
    guard geometry.supportsStoreEOI != other.supportsStoreEOI else { return }
    let words = ["sources without StoreEOI", "sources with StoreEOI"]
    let option = geometry.supportsStoreEOI ? "with --store-eoi" : "without --store-eoi"
    throw .differs(
      "StoreEOI", expected: words[geometry.supportsStoreEOI ? 1 : 0],
      found: words[other.supportsStoreEOI ? 1 : 0], remedy: "start it \(option)")
  }

  private func equal(
    _ what: String, _ mine: UInt32, _ its: UInt32, _ option: (UInt32) -> String
  ) throws(MachineStateError) {
    guard mine != its else { return }
    throw .differs(
      what, expected: "\(mine)", found: "\(its)", remedy: "start it with \(option(mine))")
  }

  /// The numbers of sources and servers: equal, or not set yet on the device and free to be.
  private func compareCounts(_ target: RestoreTarget) throws(MachineStateError) {
    let count = UInt32(sources.count)
    if target.sourceCount != count {
      guard target.sourceCount == geometry.sourceCount else {
        throw .differs(
          "number of sources that was set", expected: "\(count)", found: "\(target.sourceCount)",
          remedy: "reset it while no vCPU is connected, or start another")
      }
      if let created = target.sources[Int(count)...].firstIndex(where: \.isCreated) {
        throw .differs(
          "number of sources", expected: "\(count)",
          found: "created LISN \(LISN(rawValue: UInt32(created)))",
          remedy: "start another without that source")
      }
    }
    guard target.serverCount != serverCount else { return }
    guard target.serverCount == geometry.serverCount, target.connectedCount == 0 else {
      let connected =
        target.connectedCount > 0 ? ", and \(target.connectedCount) vCPUs connected" : ""
      throw .differs(
        "number of servers that was set", expected: "\(serverCount)",
        found: "\(target.serverCount)\(connected)",
        remedy: "set it before the first vCPU connects, or start another")
    }
  }

  private func compareQueues(_ target: RestoreTarget) throws(MachineStateError) {
    for record in ends {
      guard let queue = record.end.queue else { continue }
      let isThere = target.memory.contains { slot in
        queue.address >= slot.address && UInt64(queue.byteCount) <= slot.byteCount
          && queue.address - slot.address <= slot.byteCount - UInt64(queue.byteCount)
      }
      guard !isThere else { continue }
      let slots = target.memory.map { "0x\(String($0.address, radix: 16))+\($0.byteCount)" }
      throw .differs(
        "queue of END \(record.index.rawValue)",
        expected: "guest memory at 0x\(String(queue.address, radix: 16))+\(queue.byteCount)",
        found: slots.isEmpty ? "none" : slots.joined(separator: ", "),
        remedy: "give it the guest's memory first")
    }
  }

  private func compareMappings(_ target: RestoreTarget) throws(MachineStateError) {
    // The device may have more sources until its number is set; they were not created.
    for index in sources.indices where index < target.sources.count {
      let (mine, its) = (sources[index], target.sources[index])
      guard mine.mapping != its.mapping else { continue }
      throw .differs(
        "LISN \(LISN(rawValue: UInt32(index)))", expected: mine.mappingWords,
        found: its.mappingWords,
        remedy: mine.passthrough == nil
          ? "unmap it first" : "plug the PHB and map it so first")
    }
  }
}
