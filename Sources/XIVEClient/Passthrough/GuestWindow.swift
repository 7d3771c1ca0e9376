public import DeviceClient
internal import Synchronization
public import SystemCalls
internal import SystemPackage
public import XIVEModel

/// The ESB pages of a run of sources as a guest has them, with PHBs' own pages over parts of them.
///
/// This is the other way to pass a device through: not the device file changes what a page shows, as
/// ``XIVEDescriptor/map(_:prefault:)`` has it do, but the consumer maps the PHB's own region over its window and,
/// when the device is unplugged, the sources' pages back over that place. Loads and stores that go on meanwhile
/// find the page of before or the page of after, never a hole.
///
/// A plugged message shows its page twice, as even and as odd page of its source, for that one page takes triggers
/// as well as EOIs. A plugged LSI shows it as odd page; its even page is a hole, whose touch raises `SIGBUS`, for
/// nothing but its line may trigger it; so are all even pages where sources have one page. Source: Linux `arch/powerpc/kvm/book3s_xive_native.c`,
/// `xive_native_esb_fault`, which takes the passed-through interrupt's trigger page where it has one; that of a
/// PHB's message is its only page.
///
/// Thread rule: safe from several threads at once; runs are plugged and unplugged one at a time.
public struct GuestWindow: ~Copyable, Sendable {
  /// Which of the device's two windows on its sources is mapped.
  public enum Base: Sendable {
    /// Region 1.
    case esb
    /// The kernel's window, which is mapped from its start alone, as ``XIVEDescriptor`` does.
    case kernel
  }

  /// The sources in it.
  public let sources: Range<LISN>
  private let mapping: OverlaidMapping
  private let geometry: DeviceGeometry
  /// In the order in which they were plugged.
  private let runs: Mutex<[PassthroughRun]> = Mutex([])

  /// Maps the pages of a run of sources, created or not: a hole shows at the first touch.
  /// - Parameters:
  ///   - device: the device; it need not stay open.
  ///   - sources: the sources, at least one.
  ///   - base: the device's window.
  ///   - access: what a load or a store through a pointer is. In a trapped window a hole is all ones, and a run is
  ///     plugged in one step for all of its sources.
  /// - Throws: ``XIVEClientError/noSuchSource(_:count:)`` beyond the device's sources,
  ///   ``XIVEClientError/window(pageOffset:pageCount:)`` for a part of the kernel's window.
  public init(
    _ device: borrowing XIVEDescriptor, _ sources: Range<LISN>, in base: Base = .esb,
    access: PageAccess = .mapped
  ) throws(XIVEClientError) {
    let (geometry, map, count) = (device.geometry, device.map, device.geometry.sourceCount)
    let first = sources.lowerBound
    guard sources.upperBound.rawValue <= count else {
      throw .noSuchSource(max(first, LISN(rawValue: count)), count: count)
    }
    let pageCount = UInt64(sources.upperBound.rawValue - first.rawValue) * 2
    if base == .kernel, first.rawValue != 0 || pageCount == 0 {
      throw .window(
        pageOffset: DeviceMap.kernelESBPage + UInt64(first.rawValue) * 2, pageCount: pageCount)
    }
    let offset =
      base == .esb ? map.offset(of: .esb(first, .trigger)) : map.kernelOffset(of: first, .trigger)
    let mapping = try wrap { () throws(DeviceClientError) in
      try OverlaidMapping(
        device.device, offset: offset, byteCount: Int(pageCount * map.pageByteCount),
        access: access)
    }
    self.sources = sources
    self.geometry = geometry
    self.mapping = mapping
  }

  // MARK: - Hot-plug

  /// The runs that are plugged, in the order in which they were.
  public var plugged: [PassthroughRun] { runs.withLock { $0 } }

  /// Shows a PHB's own pages in place of a run of sources' pages, all or nothing.
  /// - Parameter run: the sources and the interrupts.
  /// - Throws: ``XIVEClientError/plugged(_:over:)``, ``XIVEClientError/outsideWindow(_:sources:)``,
  ///   ``XIVEClientError/noSuchPHB(_:)``, ``XIVEClientError/noSuchInterrupts(_:)``,
  ///   ``XIVEClientError/emptyRun(_:)``; ``XIVEClientError/plug(_:_:)`` where the process has no room for more
  ///   mappings, of which a run takes one more than it has messages.
  public func plug(_ run: PassthroughRun) throws(XIVEClientError) {
    guard run.count > 0 else { throw .emptyRun(run) }
    let end = UInt64(run.firstLISN.rawValue) + UInt64(run.count)
    guard run.firstLISN >= sources.lowerBound, end <= UInt64(sources.upperBound.rawValue) else {
      throw .outsideWindow(run, sources: sources)
    }
    let shape = try mapping.device.status(of: run.phb).shape
    guard UInt64(run.firstIRQ.rawValue) + UInt64(run.count) <= shape.irqCount else {
      throw .noSuchInterrupts(run)
    }
    try runs.withLock { runs throws(XIVEClientError) in
      if let other = runs.first(where: { $0.sources.overlaps(run.sources) }) {
        throw .plugged(run, over: other)
      }
      do throws(OverlayError) {
        try mapping.lay(pieces(of: run, shape), at: place(of: run).lowerBound)
      } catch {
        if case .incomplete = error { runs.append(run) }
        throw refusal(error, run)
      }
      runs.append(run)
    }
  }

  /// Brings the sources' own pages back. The PHB need not be there any more.
  /// - Parameter run: exactly what was plugged.
  /// - Throws: ``XIVEClientError/notPlugged(_:)``.
  public func unplug(_ run: PassthroughRun) throws(XIVEClientError) {
    try runs.withLock { runs throws(XIVEClientError) in
      guard let index = runs.firstIndex(of: run) else { throw .notPlugged(run) }
      do throws(OverlayError) { try mapping.lift(place(of: run)) } catch {
        throw refusal(error, run)
      }
      runs.remove(at: index)
    }
  }

  /// An overlay's refusal in terms of the run that it is for; places have been checked before.
  private func refusal(_ error: OverlayError, _ run: PassthroughRun) -> XIVEClientError {
    switch error {
    case .incomplete(let errno): .halfPlugged(run, errno)
    case .system(let errno): .plug(run, errno)
    case .overlaps, .notLaid, .place: .outsideWindow(run, sources: sources)
    }
  }

  private var map: DeviceMap { geometry.map }

  /// Two device pages for each interrupt of a run.
  private func pieces(of run: PassthroughRun, _ shape: PHBShape) -> [FilePiece] {
    let byteCount = Int(map.pageByteCount)
    // The HW page of the TIMA is there for nobody.
    let hole = FilePiece(offset: map.offset(of: .connectedTIMA(.hw)), byteCount: byteCount)
    return (0..<run.count).flatMap { index in
      let irq = HardwareIRQ(
        rawValue: UInt16(truncatingIfNeeded: UInt32(run.firstIRQ.rawValue) + index))
      let own = FilePiece(offset: map.offset(of: .phb(run.phb, irq)), byteCount: byteCount)
      return [shape.isLSI(irq) || geometry.pagesPerSource == 1 ? hole : own, own]
    }
  }

  /// Where a run goes, in bytes from the window's beginning.
  private func place(of run: PassthroughRun) -> Range<Int> {
    let start = offset(of: run.firstLISN, .trigger)
    return start..<start + Int(UInt64(run.count) * 2 * map.pageByteCount)
  }

  // MARK: - Pages

  /// Bytes mapped.
  public var byteCount: Int { mapping.region.byteCount }

  /// Where the window begins, for a caller that keeps it alive itself.
  @unsafe
  public var address: UnsafeMutableRawPointer { unsafe mapping.region.address }

  /// Where in the window a source's page begins.
  /// - Parameters:
  ///   - lisn: a source in the window.
  ///   - half: which of its pages.
  /// - Returns: byte offset in the window.
  /// - Precondition: the window has the source.
  public func offset(of lisn: LISN, _ half: ESBHalf) -> Int {
    precondition(sources.contains(lisn), "LISN \(lisn) in \(sources)")
    let page = UInt64(lisn.rawValue - sources.lowerBound.rawValue) * 2 + UInt64(half.rawValue)
    return Int(page * map.pageByteCount)
  }

  /// Loads a big-endian register of 8 bytes.
  /// - Parameter offset: byte offset in the window, a multiple of 8.
  /// - Returns: the value.
  public func load(at offset: Int) -> UInt64 { mapping.region.load(at: offset) }

  /// Stores a big-endian register of 8 bytes.
  /// - Parameters:
  ///   - value: what to store.
  ///   - offset: byte offset in the window, a multiple of 8.
  public func store(_ value: UInt64, at offset: Int) { mapping.region.store(value, at: offset) }

  /// Loads a register where there may be none, as ``/SystemCalls/MappedRegion/probe(at:)`` does.
  /// - Parameter offset: byte offset in the window, a multiple of 8.
  /// - Returns: the value or the fault.
  public func probe(at offset: Int) -> MappedRegion.Probe { mapping.region.probe(at: offset) }

  /// Reads the signature of the page that a source shows. A hole raises `SIGBUS`.
  /// - Parameters:
  ///   - lisn: a source in the window.
  ///   - half: which of its pages.
  /// - Returns: the signature, or nil when there is none, as in a trapped window.
  public func signature(of lisn: LISN, _ half: ESBHalf) -> PageSignature? {
    mapping.region.signature(ofPageAt: offset(of: lisn, half))
  }
}

extension PassthroughRun {
  /// The sources of a run that lies within a window.
  fileprivate var sources: Range<LISN> {
    firstLISN..<LISN(rawValue: firstLISN.rawValue + count)
  }
}
