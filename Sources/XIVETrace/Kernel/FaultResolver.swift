internal import TraceRecords
internal import XIVEModel

/// Finds out which faults touched the device, and where.
struct FaultResolver {
  private let device: FileIdentity
  private let map: DeviceMap
  private let readMaps: (UInt32) -> String
  private var spaces: [UInt32: AddressSpace] = [:]
  private var looked: [UInt32: UInt64] = [:]

  /// The shortest time between two looks at a process's mappings for addresses that nothing was mapped at, in ns.
  static let pause: UInt64 = 50_000_000

  /// Creates a resolver.
  /// - Parameters:
  ///   - device: the device file.
  ///   - map: its layout.
  ///   - readMaps: gives the text of a process's `/proc/PID/maps`; it may wait for the process.
  init(device: FileIdentity, map: DeviceMap, readMaps: @escaping (UInt32) -> String) {
    self.device = device
    self.map = map
    self.readMaps = readMaps
  }

  /// Reads what a process has mapped now.
  mutating func look(at process: UInt32) { spaces[process] = AddressSpace(maps: readMaps(process)) }

  /// Takes a process's new mapping.
  mutating func add(_ mapping: ProcessMapping, to process: UInt32) {
    spaces[process, default: AddressSpace(maps: readMaps(process))].map(mapping)
  }

  /// Forgets what a process had mapped.
  mutating func forget(_ process: UInt32) {
    spaces[process] = nil
    looked[process] = nil
  }

  /// Gives a fault its place in the device; nil when it touched other memory.
  mutating func resolve(_ fault: KernelFault) -> KernelFault? {
    guard let mapping = mapping(of: fault), mapping.file == device else { return nil }
    var found = fault
    found.locate(at: mapping.fileOffset(at: fault.address), map)
    return found
  }

  /// Whether an address is the device's, so that no program can be there.
  func isDevice(_ address: UInt64, of process: UInt32) -> Bool {
    spaces[process]?.mapping(at: address)?.file == device
  }

  private mutating func mapping(of fault: KernelFault) -> ProcessMapping? {
    let process = fault.record.processID
    if let known = spaces[process]?.mapping(at: fault.address) { return known }
    // mremap is told to nobody; a program that touches nothing again and again must not cost a look each time.
    if let last = looked[process], fault.record.time < last + Self.pause { return nil }
    looked[process] = fault.record.time
    look(at: process)
    return spaces[process]?.mapping(at: fault.address)
  }
}

extension KernelFault {
  /// Sets the device offset, and what the device has there.
  mutating func locate(at offset: UInt64, _ map: DeviceMap) {
    self.offset = offset
    guard let target = map.target(at: offset) else { return }
    describe(target)
  }
}
