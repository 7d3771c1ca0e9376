import PagedDevice
import XIVEModel

@testable import XIVEDevice

/// The kernel between consumers and the device, as far as it matters to stale pages: a page cache whose pages are
/// locked while they are filled, the page tables of consumers, and what a server may ask it to do.
///
/// Source: Linux `mm/filemap.c`, `filemap_fault`; `mm/truncate.c`, `invalidate_inode_pages2_range`;
/// `fs/fuse/file.c`, `fuse_launder_folio`; `fs/fuse/dev.c`, `fuse_notify_store`.
final class FakeKernel {
  /// 4 KiB of the file in the page cache.
  struct Folio {
    var bytes: [UInt8] = []
    /// Locked from before the server is asked until its answer has been copied.
    var isLocked = true
    var isDirty = false
    /// The consumers that have it in their page tables.
    var consumers: Set<Int> = []
  }

  /// What a fault finds.
  enum Finding { case absent, locked, present, mapped }

  let rig: Rig
  private(set) var folios: [UInt64: Folio] = [:]
  /// Whoever is the thread that tells the kernel of changes now: it does one thing after the other.
  var notifier: ObjectIdentifier?

  init(_ rig: Rig) { self.rig = rig }

  func find(_ page: UInt64, by consumer: Int) -> Finding {
    guard let folio = folios[page] else { return .absent }
    if folio.consumers.contains(consumer) { return .mapped }
    return folio.isLocked ? .locked : .present
  }

  func isLocked(in range: Range<UInt64>) -> Bool {
    folios.contains { range.contains($0.key) && $0.value.isLocked }
  }

  var isAnythingLocked: Bool { folios.values.contains(where: \.isLocked) }

  // MARK: - Faults

  /// A new page, locked; the server will be asked for it.
  func insert(_ page: UInt64) { folios[page] = Folio() }

  /// The server's answer; an error leaves no page.
  func fill(_ page: UInt64, _ image: [UInt8]?) {
    folios[page]?.bytes = image ?? []
    folios[page]?.isLocked = false
    if image == nil { folios[page] = nil }
  }

  func mapPage(_ page: UInt64, to consumer: Int) { folios[page]?.consumers.insert(consumer) }

  /// A load of a whole page through a mapping.
  func load(_ page: UInt64) -> [UInt8] { folios[page]?.bytes ?? [] }

  /// A store through a mapping.
  func store(_ value: UInt64, slot: Int, _ page: UInt64) {
    folios[page]?.bytes.setSlot(slot, value)
    folios[page]?.isDirty = true
  }

  /// A touch from fault to access, when nobody else does anything.
  /// - Returns: what the consumer sees, or nil for `SIGBUS`.
  func touch(_ page: UInt64, by consumer: Int = 0) -> [UInt8]? {
    if folios[page] == nil {
      insert(page)
      fill(page, try? rig.image(page))
    }
    guard folios[page] != nil else { return nil }
    mapPage(page, to: consumer)
    return load(page)
  }

  // MARK: - What a server asks for

  /// Drops the pages of a range, none of which is locked: out of the page tables first, then written back, then
  /// forgotten.
  func drop(_ range: Range<UInt64>) {
    for page in folios.keys.filter({ range.contains($0) }).sorted() {
      writeBack(page)
      folios[page] = nil
    }
  }

  /// Writes a page back if it was stored to, and makes the next store to it fault.
  func writeBack(_ page: UInt64) {
    guard let folio = folios[page], folio.isDirty else { return }
    folios[page]?.isDirty = false
    rig.device.writeBack(
      unsafe folio.bytes.span.bytes, at: page, since: rig.device.updateRound)
  }

  /// Writes all pages back, as the tick does.
  func synchronize() { for page in folios.keys.sorted() { writeBack(page) } }

  /// Changes bytes of a page that is there; a part of an absent page leaves nothing that could be seen.
  func store(_ update: Update) {
    let page = update.offset & ~4_095
    guard folios[page] != nil else { return }
    let start = Int(update.offset - page)
    folios[page]?.bytes.replaceSubrange(start..<start + update.bytes.count, with: update.bytes)
  }

  func takeUpdates() { for update in rig.updates() { store(update) } }

  /// Fills the pages of a range from the device, which makes them up to date.
  func push(_ range: Range<UInt64>) {
    for page in stride(from: range.lowerBound, to: range.upperBound, by: 4_096) {
      guard let image = try? rig.image(page) else { continue }
      if folios[page] == nil { insert(page) }
      fill(page, image)
    }
  }

  /// Carries an invalidation out at once.
  func carryOut(_ invalidation: Invalidation) {
    for range in invalidation.ranges { drop(range) }
    invalidation.completion()
    takeUpdates()
    for range in invalidation.prefault { push(range) }
  }
}

/// Someone whose steps can be taken one by one.
protocol Party: AnyObject {
  var name: String { get }
  var isDone: Bool { get }
  /// Whether its next step has to wait for somebody else.
  var isBlocked: Bool { get }
  func step()
}

/// A consumer's touch of a page: a fault as often as it takes, then one load or store.
final class Touch: Party {
  enum Stage { case fault, asked, answered, mapped, done }

  let name: String
  private let kernel: FakeKernel
  private let page: UInt64
  private let consumer: Int
  /// The slot that is stored to; nil: a load.
  private let slot: Int?
  private let accessed: ([UInt8]) -> Void
  private var image: [UInt8]?
  private(set) var stage = Stage.fault

  /// A touch that calls `accessed` with what the page shows at the moment of the access.
  init(
    _ kernel: FakeKernel, _ page: UInt64, by consumer: Int, storing slot: Int? = nil,
    accessed: @escaping ([UInt8]) -> Void = { _ in }
  ) {
    name = "\(slot == nil ? "load" : "store") by \(consumer)"
    self.kernel = kernel
    self.page = page
    self.consumer = consumer
    self.slot = slot
    self.accessed = accessed
  }

  var isDone: Bool { stage == .done }

  var isBlocked: Bool { stage == .fault && kernel.find(page, by: consumer) == .locked }

  func step() {
    switch stage {
    case .fault:
      switch kernel.find(page, by: consumer) {
      case .absent:
        kernel.insert(page)
        stage = .asked
      case .present:
        kernel.mapPage(page, to: consumer)
        stage = .mapped
      case .mapped: access()
      case .locked: break
      }
    case .asked:
      image = try? kernel.rig.image(page)
      stage = .answered
    case .answered:
      kernel.fill(page, image)
      // No page: the toucher gets SIGBUS.
      stage = image == nil ? .done : .fault
    case .mapped: access()
    case .done: break
    }
  }

  private func access() {
    guard kernel.find(page, by: consumer) == .mapped else {
      stage = .fault
      return
    }
    accessed(kernel.load(page))
    if let slot { kernel.store(0x1234, slot: slot, page) }
    stage = .done
  }
}

/// One exact access, which the device makes one step of.
final class ExactAccess: Party {
  let name = "exact access"
  private let body: () -> Void
  private(set) var isDone = false
  let isBlocked = false

  init(_ body: @escaping () -> Void) { self.body = body }

  func step() {
    body()
    isDone = true
  }
}

/// A change of backings on its way through request thread and notifier: published, pages dropped range by range,
/// completed, updates delivered, pages pushed; answered with the last of that.
final class Change: Party {
  private enum Stage { case begin, drop(Int), complete, update, push(Int), done }

  let name: String
  private let kernel: FakeKernel
  private let begin: () throws(DeviceError) -> Invalidation
  private var stage = Stage.begin
  private var invalidation = Invalidation([])
  /// What the request was refused with.
  private(set) var refusal: DeviceError?
  /// Called by whoever is answered.
  private let answered: () -> Void

  init(
    _ kernel: FakeKernel, _ name: String, answered: @escaping () -> Void = {},
    _ begin: @escaping () throws(DeviceError) -> Invalidation
  ) {
    self.kernel = kernel
    self.name = name
    self.answered = answered
    self.begin = begin
  }

  var isDone: Bool { if case .done = stage { true } else { false } }

  var isBlocked: Bool {
    switch stage {
    case .begin, .done: return false
    case .drop(let index):
      guard kernel.notifier == nil || kernel.notifier == ObjectIdentifier(self) else { return true }
      return kernel.isLocked(in: invalidation.ranges[index])
    case .update, .push: return kernel.isAnythingLocked
    case .complete: return false
    }
  }

  func step() {
    switch stage {
    case .begin: publish()
    case .drop(let index):
      kernel.notifier = ObjectIdentifier(self)
      kernel.drop(invalidation.ranges[index])
      stage = index + 1 < invalidation.ranges.count ? .drop(index + 1) : .complete
    case .complete:
      invalidation.completion()
      stage = .update
    case .update:
      kernel.takeUpdates()
      if invalidation.prefault.isEmpty { finish() } else { stage = .push(0) }
    case .push(let index):
      kernel.push(invalidation.prefault[index])
      if index + 1 < invalidation.prefault.count { stage = .push(index + 1) } else { finish() }
    case .done: break
    }
  }

  private func publish() {
    do {
      invalidation = try begin()
      stage = .drop(0)
    } catch {
      refusal = error
      stage = .done
    }
  }

  private func finish() {
    kernel.notifier = nil
    answered()
    stage = .done
  }
}
