internal import Synchronization
internal import XIVEModel

/// A passed-through PHB: its interrupts' state, which sources they serve, and whether it is fenced.
///
/// Found in the ``PHBTable`` and used inside the gate. Safe from any thread; no lock. Which source an interrupt
/// serves is changed under the device's hot-plug lock alone.
final class PHB: Sendable {
  let index: PHBIndex
  let shape: PHBShape
  /// How often a PHB of this index has been added, from 1.
  let generation: UInt32
  /// The interrupts whose own pages have been filled, and those whose own pages need new bytes.
  let watched: WatchTable
  let changed: ChangeSet
  private let memory: CellMemory
  /// For each interrupt the source that it serves, plus 1; 0 where events go to the host.
  private let lisns: AtomicTable<UInt32>
  private let flags = Atomic<UInt8>(0)

  private static let fenced: UInt8 = 1
  private static let leaving: UInt8 = 2

  /// Creates a PHB whose interrupts are all off, as firmware leaves them.
  init(_ index: PHBIndex, _ shape: PHBShape, generation: UInt32) {
    let count = Int(shape.irqCount)
    self.index = index
    self.shape = shape
    self.generation = generation
    memory = CellMemory(count: count)
    lisns = AtomicTable(count: count, repeating: 0)
    watched = WatchTable(count: count)
    changed = ChangeSet(count: count)
    for irq in 0..<count {
      let irq = HardwareIRQ(rawValue: UInt16(irq))
      _ = cells.perform(.create(isLSI: shape.isLSI(irq), isAsserted: false), on: irq)
    }
  }

  var cells: SourceCells { memory.cells }

  func contains(_ irq: HardwareIRQ) -> Bool { UInt64(irq.rawValue) < shape.irqCount }

  /// All of its interrupts.
  var irqs: some Sequence<HardwareIRQ> {
    (0..<Int(shape.irqCount)).lazy.map { HardwareIRQ(rawValue: UInt16($0)) }
  }

  /// The source that an interrupt serves, or nil: the host takes it.
  func lisn(servedBy irq: HardwareIRQ) -> LISN? {
    let value = lisns[Int(irq.rawValue)].load(ordering: .sequentiallyConsistent)
    return value == 0 ? nil : LISN(rawValue: value - 1)
  }

  func serve(_ lisn: LISN?, by irq: HardwareIRQ) {
    let value = lisn.map { $0.rawValue + 1 } ?? 0
    lisns[Int(irq.rawValue)].store(value, ordering: .sequentiallyConsistent)
  }

  /// How many of its interrupts serve a source.
  var mappedCount: Int { irqs.count { lisn(servedBy: $0) != nil } }

  /// Whether its pages give all ones and take nothing.
  var isFenced: Bool { flags.load(ordering: .sequentiallyConsistent) & Self.fenced != 0 }

  /// Whether it is being removed: its own pages are holes already, while old pages of it are being dropped.
  var isLeaving: Bool { flags.load(ordering: .sequentiallyConsistent) & Self.leaving != 0 }

  func leave() { flags.bitwiseOr(Self.leaving, ordering: .sequentiallyConsistent) }

  func setFenced(_ isFenced: Bool) {
    if isFenced {
      flags.bitwiseOr(Self.fenced, ordering: .sequentiallyConsistent)
    } else {
      flags.bitwiseAnd(~Self.fenced, ordering: .sequentiallyConsistent)
    }
  }
}
