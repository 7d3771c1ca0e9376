/// The regions of the device file: bits 40 and up of an offset.
public enum Region: Hashable, Sendable {
  /// Region 0: four TIMA pages, then the ESB pages as the kernel's device has them.
  case kernel
  /// Region 1: the ESB pages of all sources.
  case esb
  /// Region 2: the ESB pages of the event notification descriptors.
  case end
  /// Region 3: four TIMA pages for each server.
  case tima
  /// Regions 16 and up: a PHB's own ESB pages.
  case phb(PHBIndex)
  /// Region 0x1000: the state of all sources, for save and restore.
  case sourceState
  /// Region 0x1001: trace records.
  case trace

  /// Logarithm of a region's bytes.
  public static let shift: UInt64 = 40

  /// The numbers of the regions that PHBs have.
  public static let phbs = UInt64(16)..<UInt64(16 + PHBIndex.maximumCount)

  /// The numbers of the regions that trace records go on through: of region 0x1001 alone a million records a second would
  /// reach the end after five hours.
  public static let traces = UInt64(0x1001)..<UInt64(0x2000)

  /// Creates the region of a number, or nil where the map has none.
  public init?(rawValue: UInt64) {
    switch rawValue {
    case 0: self = .kernel
    case 1: self = .esb
    case 2: self = .end
    case 3: self = .tima
    case 0x1000: self = .sourceState
    case 0x1001: self = .trace
    case Self.phbs:
      guard let index = PHBIndex(rawValue: UInt16(rawValue - Self.phbs.lowerBound)) else {
        return nil
      }
      self = .phb(index)
    default: return nil
    }
  }

  /// The region's number.
  public var rawValue: UInt64 {
    switch self {
    case .kernel: 0
    case .esb: 1
    case .end: 2
    case .tima: 3
    case .phb(let index): Self.phbs.lowerBound + UInt64(index.rawValue)
    case .sourceState: 0x1000
    case .trace: 0x1001
    }
  }

  /// The device offset of the region's first byte.
  public var start: UInt64 { rawValue << Self.shift }
}

/// The four views of a thread interrupt management area, from the most privileged to the least.
public enum TIMAView: UInt32, Hashable, Sendable, CaseIterable {
  /// The physical thread's view.
  case hw = 0
  /// The hypervisor's view.
  case hv = 1
  /// The operating system's view, the one that a guest uses.
  case os = 2
  /// The user's view.
  case user = 3
}

/// Which of an END's two coalescing state machines an END ESB page drives.
public enum ENDHalf: UInt32, Hashable, Sendable {
  /// Notification: the even page, ESn.
  case notification = 0
  /// Escalation: the odd page, ESe.
  case escalation = 1
}

/// What a device page is, before anybody asks whether it is there.
public enum PageTarget: Hashable, Sendable {
  /// A page of the TIMA of the vCPU that the descriptor is connected to.
  case connectedTIMA(TIMAView)
  /// A source's ESB page, in region 1 or in the kernel's window.
  case esb(LISN, ESBHalf)
  /// An END's ESB page; the index is server * 8 + priority.
  case end(index: UInt32, ENDHalf)
  /// A page of a server's TIMA.
  case tima(Server, TIMAView)
  /// A page of a passed-through PHB.
  case phb(PHBIndex, HardwareIRQ)
}

/// The device file's layout: which offset is what.
///
/// Source: this project's ABI, `xive.h`; the kernel's window from Linux
/// `arch/powerpc/include/uapi/asm/kvm.h`, `KVM_XIVE_TIMA_PAGE_OFFSET`, `KVM_XIVE_ESB_PAGE_OFFSET`.
public struct DeviceMap: Hashable, Sendable {
  /// The size that the device file always has, in bytes.
  public static let fileByteCount: UInt64 = 1 << 62
  /// The page of the kernel's window where its ESB pages begin.
  public static let kernelESBPage: UInt64 = 4

  /// Logarithm of a device page's bytes: 12 or 16.
  public let pageShift: UInt64
  /// The number of sources; offsets beyond are not ESB pages.
  public let sourceCount: UInt32
  /// The number of servers.
  public let serverCount: UInt32

  /// Creates the layout.
  /// - Parameters:
  ///   - pageShift: logarithm of a device page's bytes, 12 or 16.
  ///   - sourceCount: number of sources.
  ///   - serverCount: number of servers.
  public init(pageShift: UInt64, sourceCount: UInt32, serverCount: UInt32) {
    self.pageShift = pageShift
    self.sourceCount = sourceCount
    self.serverCount = serverCount
  }

  /// A device page's size in bytes.
  public var pageByteCount: UInt64 { 1 << pageShift }

  /// Finds what the device page at an offset is.
  ///
  /// Safe from any thread; takes no lock and does not allocate.
  /// Source: Linux `arch/powerpc/kvm/book3s_xive_native.c`, `xive_native_esb_fault`. Differs: the kernel
  /// counts pages from the start of the mapping, so that a split mapping resolves wrongly; here the file
  /// offset decides.
  /// - Parameter offset: a byte offset in the device file.
  /// - Returns: the page, or nil where the map has no page that could be touched.
  public func target(at offset: UInt64) -> PageTarget? {
    guard let region = Region(rawValue: offset >> Region.shift) else { return nil }
    let page = (offset & (1 << Region.shift - 1)) >> pageShift
    switch region {
    case .kernel:
      if page >= Self.kernelESBPage { return esb(page - Self.kernelESBPage) }
      return TIMAView(rawValue: UInt32(page)).map { .connectedTIMA($0) }
    case .esb: return esb(page)
    case .end:
      guard page / 2 < UInt64(serverCount) * 8, let half = ENDHalf(rawValue: UInt32(page & 1))
      else {
        return nil
      }
      return .end(index: UInt32(page / 2), half)
    case .tima:
      guard page / 4 < UInt64(serverCount), let view = TIMAView(rawValue: UInt32(page & 3)) else {
        return nil
      }
      return .tima(Server(rawValue: UInt32(page / 4)), view)
    case .phb(let index):
      guard page < UInt64(HardwareIRQ.maximumCount) else { return nil }
      return .phb(index, HardwareIRQ(rawValue: UInt16(page)))
    case .sourceState, .trace: return nil
    }
  }

  private func esb(_ page: UInt64) -> PageTarget? {
    guard page / 2 < UInt64(sourceCount), let half = ESBHalf(rawValue: UInt32(page & 1)) else {
      return nil
    }
    return .esb(LISN(rawValue: UInt32(page / 2)), half)
  }

  /// The offset of a page's first byte, in the region that belongs to it.
  /// - Parameter target: the page.
  /// - Returns: a byte offset in the device file.
  public func offset(of target: PageTarget) -> UInt64 {
    switch target {
    case .connectedTIMA(let view): UInt64(view.rawValue) << pageShift
    case .esb(let lisn, let half):
      Region.esb.start + (UInt64(lisn.rawValue) * 2 + UInt64(half.rawValue)) << pageShift
    case .end(let index, let half):
      Region.end.start + (UInt64(index) * 2 + UInt64(half.rawValue)) << pageShift
    case .tima(let server, let view):
      Region.tima.start + (UInt64(server.rawValue) * 4 + UInt64(view.rawValue)) << pageShift
    case .phb(let index, let irq):
      Region.phb(index).start + UInt64(irq.rawValue) << pageShift
    }
  }

  /// The offset of an ESB page in the kernel's window.
  /// - Parameters:
  ///   - lisn: the source.
  ///   - half: which of its pages.
  /// - Returns: a byte offset in the device file.
  public func kernelOffset(of lisn: LISN, _ half: ESBHalf) -> UInt64 {
    (Self.kernelESBPage + UInt64(lisn.rawValue) * 2 + UInt64(half.rawValue)) << pageShift
  }
}
