internal import Synchronization
internal import XIVEModel

/// State cells in memory of their own.
@safe
final class CellMemory: @unchecked Sendable {
  let cells: SourceCells
  // SAFETY (and @unchecked Sendable): allocated in `init`, freed in `deinit`; used through the cells only.
  private let memory: UnsafeMutableRawBufferPointer

  init(count: Int) {
    unsafe memory = .allocate(byteCount: SourceCells.byteCount(for: count), alignment: 64)
    cells = unsafe SourceCells(unsafeMemory: memory, count: count)
  }

  deinit { unsafe memory.deallocate() }
}

/// The sources of a device: their state, what serves them, and the blocks that exist.
///
/// Safe from any thread; no lock.
final class SourceTable: Sendable {
  /// Sources in a block, the kernel's unit of allocation.
  ///
  /// Source: Linux `arch/powerpc/kvm/book3s_xics.h`, `KVMPPC_XICS_IRQ_PER_ICS`. Attributes answer
  /// differently for a source that is missing in a block that exists.
  static let blockSize = 1_024

  let backings: BackingTable
  private let memory: CellMemory
  private let blocks: AtomicTable<Bool>

  init(count: Int) {
    memory = CellMemory(count: count)
    backings = BackingTable(count: count)
    blocks = AtomicTable(count: (count + Self.blockSize - 1) / Self.blockSize, repeating: false)
  }

  var cells: SourceCells { memory.cells }

  /// Makes the block of a source exist.
  func createBlock(of lisn: LISN) {
    blocks[Int(lisn.rawValue) / Self.blockSize].store(true, ordering: .releasing)
  }

  /// Whether the block of a source exists.
  func hasBlock(of lisn: LISN) -> Bool {
    blocks[Int(lisn.rawValue) / Self.blockSize].load(ordering: .acquiring)
  }

  /// The number of blocks that exist.
  var blockCount: Int {
    (0..<blocks.count).count { blocks[$0].load(ordering: .acquiring) }
  }
}
