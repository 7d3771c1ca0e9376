internal import PagedDevice
internal import Synchronization
internal import XIVEModel

/// Which descriptor is connected to which vCPU.
///
/// A look is one atomic load and one in a dictionary that never changes; what it finds lives at least until the gate
/// that the looker is in has been drained. Connecting and disconnecting: one thread at a time.
@safe
final class ConnectionTable: @unchecked Sendable {
  /// The connections of one moment.
  final class Snapshot: Sendable {
    let servers: [UInt64: Server]

    init(_ servers: [UInt64: Server]) { self.servers = servers }
  }

  // SAFETY (and @unchecked Sendable): the word is the address of a snapshot that this table has retained. It is
  // released after it was replaced and the gate drained, or when the table goes.
  private let word = Atomic<UInt>(0)
  /// The same by servers, for those who ask about one; changed in place, for building a set takes as long as there are
  /// vCPUs.
  private let connected: AtomicTable<Bool>

  init(serverCount: Int) {
    connected = AtomicTable(count: serverCount, repeating: false)
    word.store(Self.retained(Snapshot([:])), ordering: .sequentiallyConsistent)
  }

  deinit { unsafe Self.snapshot(word.load(ordering: .relaxed)).release() }

  /// The connections now. To be called inside the gate, or by the thread that connects and disconnects.
  var now: Snapshot {
    unsafe Self.snapshot(word.load(ordering: .sequentiallyConsistent)).takeUnretainedValue()
  }

  /// The vCPU of a descriptor, or nil. As ``now``.
  subscript(opener: Opener) -> Server? { now.servers[opener.id] }

  /// Whether a server has a vCPU; as ``now``. False beyond the table.
  func isConnected(_ server: Server) -> Bool {
    let index = Int(server.rawValue)
    return index < connected.count && connected[index].load(ordering: .sequentiallyConsistent)
  }

  /// Replaces the connections, of which one has changed; when this returns nobody acts on the old ones.
  func publish(
    _ servers: [UInt64: Server], _ server: Server, isConnected: Bool,
    draining gate: borrowing AccessGate
  ) {
    connected[Int(server.rawValue)].store(isConnected, ordering: .sequentiallyConsistent)
    let old = word.exchange(
      Self.retained(Snapshot(servers)), ordering: .sequentiallyConsistent)
    gate.drain()
    unsafe Self.snapshot(old).release()
  }

  private static func retained(_ snapshot: Snapshot) -> UInt {
    unsafe UInt(bitPattern: Unmanaged.passRetained(snapshot).toOpaque())
  }

  private static func snapshot(_ bits: UInt) -> Unmanaged<Snapshot> {
    guard let pointer = unsafe UnsafeRawPointer(bitPattern: bits) else {
      preconditionFailure("a table always has a snapshot")
    }
    return unsafe Unmanaged.fromOpaque(pointer)
  }
}
