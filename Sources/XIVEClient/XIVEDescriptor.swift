internal import CXIVE
public import DeviceClient
public import SystemCalls
internal import SystemPackage
public import XIVEModel

/// An open XIVE device file: sources and pages in the controller's own terms.
///
/// Thread rule: safe from several threads at once; loads and stores of one source are each one atomic step.
public struct XIVEDescriptor: ~Copyable, Sendable {
  /// The file underneath, for raw offsets.
  public let device: DeviceDescriptor
  /// What the device was started with.
  public let geometry: DeviceGeometry

  /// Opens a XIVE device file.
  /// - Parameters:
  ///   - path: where it is served.
  ///   - isWritable: whether anything may be changed through it; an EOI load is a change as well.
  /// - Throws: ``XIVEClientError/device(_:)`` for a file that cannot be opened, and
  ///   ``XIVEClientError/notXIVE(_:)`` for one that is no XIVE device.
  public init(_ path: String, isWritable: Bool = true) throws(XIVEClientError) {
    let device = try wrap { () throws(DeviceClientError) in
      try DeviceDescriptor(path, isWritable: isWritable)
    }
    geometry = try Self.geometry(of: device, path)
    self.device = device
  }

  /// Asks for the geometry once more, with the counts that change.
  func geometryInfo() throws(XIVEClientError) -> xive_info_geometry {
    try wrap { () throws(DeviceClientError) in
      try device.attribute(XIVE_GROUP_INFO, UInt64(XIVE_INFO_GEOMETRY))
    }
  }

  private static func geometry(of device: borrowing DeviceDescriptor, _ path: String)
    throws(XIVEClientError) -> DeviceGeometry
  {
    do {
      return DeviceGeometry(try device.attribute(XIVE_GROUP_INFO, UInt64(XIVE_INFO_GEOMETRY)))
    } catch {
      switch error.errno {
      // The answers of those who do not know the request: other files, other devices.
      case .inappropriateIOCTLForDevice, .noSuchAddressOrDevice, .invalidArgument:
        throw .notXIVE(path)
      default: throw .device(error)
      }
    }
  }

  /// The layout of the file.
  public var map: DeviceMap { geometry.map }

  // MARK: - Registers

  /// Performs one exact load.
  /// - Parameters:
  ///   - offset: device offset.
  ///   - byteCount: the register's size, 1 to 8.
  /// - Returns: the register's value; all ones where there is no state to give.
  /// - Throws: ``XIVEClientError/access(offset:byteCount:)`` where no page takes it.
  public func load(at offset: UInt64, byteCount: Int = 8) throws(XIVEClientError) -> UInt64 {
    do { return try device.load(at: offset, byteCount: byteCount) } catch {
      throw .refused(error, byteCount)
    }
  }

  /// Performs one exact store.
  /// - Parameters:
  ///   - value: the register's value; of a smaller register the low bytes.
  ///   - offset: device offset.
  ///   - byteCount: the register's size, 1 to 8.
  /// - Throws: ``XIVEClientError/access(offset:byteCount:)`` where no page takes it.
  public func store(_ value: UInt64, at offset: UInt64, byteCount: Int = 8) throws(XIVEClientError)
  {
    do { try device.store(value, at: offset, byteCount: byteCount) } catch {
      throw .refused(error, byteCount)
    }
  }

  // MARK: - Sources, exactly

  /// Creates a source, or creates it again: PQ 01.
  /// - Parameters:
  ///   - lisn: the source.
  ///   - isLSI: whether it is level-sensitive.
  ///   - isAsserted: whether its line is held from the start.
  /// - Throws: ``XIVEClientError/noSuchSource(_:count:)`` beyond the device's sources, or those that were set.
  public func createSource(_ lisn: LISN, isLSI: Bool = false, isAsserted: Bool = false)
    throws(XIVEClientError)
  {
    try requireSource(lisn)
    let value =
      (isLSI ? UInt64(KVM_XIVE_LEVEL_SENSITIVE) : 0)
      | (isAsserted ? UInt64(KVM_XIVE_LEVEL_ASSERTED) : 0)
    try device.set(UInt32(KVM_DEV_XIVE_GRP_SOURCE), UInt64(lisn.rawValue), value) { error in
      error == .argListTooLong ? noSuchSource(lisn) : nil
    }
  }

  /// Triggers a source: one exact store to its trigger page, or to its only page.
  /// - Parameter lisn: the source.
  /// - Throws: ``XIVEClientError``.
  public func trigger(_ lisn: LISN) throws(XIVEClientError) {
    let half: ESBHalf = geometry.pagesPerSource == 2 ? .trigger : .management
    let offset = try offset(of: lisn, half)
    try wrap { () throws(DeviceClientError) in try device.store(0, at: offset) }
  }

  /// Reads PQ without an effect.
  /// - Parameter lisn: the source.
  /// - Returns: PQ, or nil where the page gives all ones: the source was never created.
  /// - Throws: ``XIVEClientError``.
  public func pq(of lisn: LISN) throws(XIVEClientError) -> PQ? {
    PQ(loaded: try loadManagement(lisn, 0x800))
  }

  /// Sets PQ.
  /// - Parameters:
  ///   - lisn: the source.
  ///   - pq: the new state.
  /// - Returns: the old state, or nil where the page gives all ones.
  /// - Throws: ``XIVEClientError``.
  @discardableResult
  public func setPQ(of lisn: LISN, to pq: PQ) throws(XIVEClientError) -> PQ? {
    PQ(loaded: try loadManagement(lisn, 0xc00 + UInt64(pq.rawValue) * 0x100))
  }

  /// Ends the interrupt by a load.
  /// - Parameter lisn: the source.
  /// - Returns: whether a queued event was forwarded.
  /// - Throws: ``XIVEClientError``.
  @discardableResult
  public func endOfInterrupt(_ lisn: LISN) throws(XIVEClientError) -> Bool {
    try loadManagement(lisn, 0) == 1
  }

  private func loadManagement(_ lisn: LISN, _ register: UInt64) throws(XIVEClientError) -> UInt64 {
    let offset = try offset(of: lisn, .management) + register
    return try wrap { () throws(DeviceClientError) in try device.load(at: offset) }
  }

  private func offset(of lisn: LISN, _ half: ESBHalf) throws(XIVEClientError) -> UInt64 {
    try requireSource(lisn)
    return map.offset(of: .esb(lisn, half))
  }

  func requireSource(_ lisn: LISN) throws(XIVEClientError) {
    guard lisn.rawValue < geometry.sourceCount else {
      throw .noSuchSource(lisn, count: geometry.sourceCount)
    }
  }

  // MARK: - Mappings

  // Stores are allowed in all of them as far as the descriptor allows changes.

  /// Maps the kernel's window as a VMM does on the kernel's device.
  ///
  /// The kernel refuses any other offset or a longer mapping with `EINVAL` in `mmap` itself; a file cannot, so
  /// the refusal is here. Source: Linux `book3s_xive_native.c`, `kvmppc_xive_native_mmap`. Differs: the ESB
  /// window's limit is two pages for each of this device's sources, in the kernel for each of 1,048,576.
  /// - Parameters:
  ///   - pageOffset: 0 for the TIMA, 4 for the ESB pages; in device pages.
  ///   - pageCount: device pages.
  ///   - sharing: must be shared.
  ///   - access: what a load or a store through a pointer is.
  /// - Returns: the mapping.
  /// - Throws: ``XIVEClientError/window(pageOffset:pageCount:)`` for what the kernel refuses.
  public func mapKernelWindow(
    pageOffset: UInt64, pageCount: UInt64, sharing: DeviceDescriptor.Sharing = .shared,
    access: PageAccess = .mapped
  ) throws(XIVEClientError) -> MappedRegion {
    let limit: UInt64 =
      switch pageOffset {
      case 0: 4
      case DeviceMap.kernelESBPage: UInt64(geometry.sourceCount) * 2
      default: 0
      }
    guard pageCount > 0, pageCount <= limit else {
      throw .window(pageOffset: pageOffset, pageCount: pageCount)
    }
    return try mapPages(at: pageOffset * map.pageByteCount, count: pageCount, sharing, access)
  }

  /// Maps both ESB pages of one source.
  ///
  /// Where sources have one page, the first of the two is a hole.
  /// - Parameters:
  ///   - lisn: the source.
  ///   - access: what a load or a store through a pointer is.
  /// - Returns: the mapping: the trigger page, then the management page.
  /// - Throws: ``XIVEClientError``.
  public func mapSource(_ lisn: LISN, access: PageAccess = .mapped) throws(XIVEClientError)
    -> MappedRegion
  {
    try mapPages(at: offset(of: lisn, .trigger), count: 2, .shared, access)
  }

  /// Maps the four TIMA pages of the connected vCPU.
  ///
  /// A trapped window is the vCPU's own, however many are connected: each thread that runs one maps it through that
  /// vCPU's descriptor. Mapped plainly the OS page is there while one alone is.
  /// - Parameter access: what a load or a store through a pointer is.
  /// - Returns: the mapping: HW, HV, OS and user view.
  /// - Throws: ``XIVEClientError``.
  public func mapTIMA(access: PageAccess = .mapped) throws(XIVEClientError) -> MappedRegion {
    try mapKernelWindow(pageOffset: 0, pageCount: 4, access: access)
  }

  private func mapPages(
    at offset: UInt64, count: UInt64, _ sharing: DeviceDescriptor.Sharing, _ access: PageAccess
  ) throws(XIVEClientError) -> MappedRegion {
    try wrap { () throws(DeviceClientError) in
      try device.map(
        offset: offset, byteCount: Int(count * map.pageByteCount), sharing: sharing, access: access)
    }
  }

  // MARK: - The device's own figures

  /// Lists the runs of pages that exist now, in ascending order.
  /// - Returns: device offsets.
  /// - Throws: ``XIVEClientError``.
  public func segments() throws(XIVEClientError) -> [Range<UInt64>] {
    try wrap { () throws(DeviceClientError) in try device.segments() }
  }

  /// Asks what the device has done.
  /// - Returns: its counters.
  /// - Throws: ``XIVEClientError``.
  public func counters() throws(XIVEClientError) -> DeviceCounters {
    DeviceCounters(
      try wrap { () throws(DeviceClientError) in
        try device.attribute(XIVE_GROUP_INFO, UInt64(XIVE_INFO_COUNTERS))
      })
  }
}

/// Turns the file's error into this module's.
func wrap<Value: ~Copyable>(_ body: () throws(DeviceClientError) -> Value)
  throws(XIVEClientError) -> Value
{
  do { return try body() } catch { throw .device(error) }
}

extension PQ {
  /// The state that a load of a management page gave, or nil for all ones: a fenced or absent page.
  fileprivate init?(loaded value: UInt64) {
    guard value != .max else { return nil }
    self.init(rawValue: UInt8(truncatingIfNeeded: value))
  }
}
