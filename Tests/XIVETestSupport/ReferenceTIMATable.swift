/// What an access to a TIMA does beyond reading or writing bytes.
public enum ReferenceTIMAOperation: String, Hashable, Sendable, CaseIterable {
  /// Sets CPPR of the OS ring.
  case setCPPR
  /// Reads CPPR of the OS ring.
  case getCPPR
  /// Pushes the OS context.
  case pushOS
  /// Sets CPPR of the PHYS ring.
  case setPhysicalCPPR
  /// Sets the first byte of the PHYS ring's word 2.
  case setThread
  /// Reads that byte.
  case getThread
  /// Acknowledges an event-based branch.
  case acknowledgeUser
  /// Pushes the user context.
  case pushUser
  /// Pulls the user context.
  case pullUser
  /// Acknowledges the OS ring.
  case acknowledgeOS
  /// Makes a priority of the OS ring pending.
  case setPending
  /// Pulls the OS context.
  case pullOS
  /// Pulls the pool context.
  case pullPool
  /// Acknowledges the PHYS ring.
  case acknowledgePhysical
}

/// One row of the architecture's list of special operations.
public struct ReferenceTIMARow: Hashable, Sendable {
  /// Byte offset in the page.
  public let offset: Int
  /// Bytes.
  public let size: Int
  /// Load or store.
  public let access: VectorAccess
  /// The least privileged view that may: 0 HW, 1 HV, 2 OS, 3 USER.
  public let view: Int
  /// What it does.
  public let operation: ReferenceTIMAOperation

  fileprivate init(
    _ offset: Int, _ size: Int, _ access: VectorAccess, view: Int,
    _ operation: ReferenceTIMAOperation
  ) {
    self.offset = offset
    self.size = size
    self.access = access
    self.view = view
    self.operation = operation
  }
}

/// The architecture's tables of the TIMA, cell by cell.
public enum ReferenceTIMATable {
  /// The special operations.
  ///
  /// 0xc08 to 0xc30 write into a reporting cache line, which nobody can set here: they are no operations.
  public static let rows: [ReferenceTIMARow] = [
    ReferenceTIMARow(0x011, 1, .store, view: 2, .setCPPR),
    ReferenceTIMARow(0x011, 1, .load, view: 2, .getCPPR),
    ReferenceTIMARow(0x018, 4, .store, view: 1, .pushOS),
    ReferenceTIMARow(0x031, 1, .store, view: 1, .setPhysicalCPPR),
    ReferenceTIMARow(0x038, 1, .store, view: 1, .setThread),
    ReferenceTIMARow(0x038, 1, .load, view: 1, .getThread),
    ReferenceTIMARow(0x800, 1, .load, view: 3, .acknowledgeUser),
    ReferenceTIMARow(0x808, 4, .store, view: 2, .pushUser),
    ReferenceTIMARow(0x808, 4, .load, view: 2, .pullUser),
    ReferenceTIMARow(0x810, 2, .load, view: 2, .acknowledgeOS),
    ReferenceTIMARow(0x812, 1, .store, view: 2, .setPending),
    ReferenceTIMARow(0x818, 4, .load, view: 1, .pullOS),
    ReferenceTIMARow(0x818, 8, .load, view: 1, .pullOS),
    ReferenceTIMARow(0x828, 4, .load, view: 1, .pullPool),
    ReferenceTIMARow(0x828, 8, .load, view: 1, .pullPool),
    ReferenceTIMARow(0x830, 2, .load, view: 1, .acknowledgePhysical),
  ]

  /// What a view may do with each byte, 16 a ring: `-` nothing, `r` read, `w` read and write.
  public static let maps: [[Character]] = [
    "w-------wwww----" + "wwwwww-rwwww----" + "--ww----wwww----" + "wwww-w-rw--wwww-",
    "w-------wwww----" + "wwwwww-rwwww----" + "--ww-----www----" + "wwww-w-rw--w----",
    "w-------wwww----" + "rwrrrr-r--------" + "----------------" + "----------------",
    "w---------------" + "----------------" + "----------------" + "----------------",
  ].map { Array($0) }

  /// Looks a special operation up.
  /// - Parameters:
  ///   - access: load or store.
  ///   - offset: byte offset in the page.
  ///   - size: bytes.
  ///   - view: 0 HW, 1 HV, 2 OS, 3 USER.
  /// - Returns: the operation, or nil.
  public static func operation(
    _ access: VectorAccess, at offset: Int, size: Int, view: Int
  ) -> ReferenceTIMAOperation? {
    for row in rows where row.access == access && row.offset == offset && row.size == size {
      if view <= row.view { return row.operation }
    }
    return nil
  }

  /// Whether a view may read or write a byte.
  /// - Parameters:
  ///   - access: load or store.
  ///   - byte: 0 to 0x3f.
  ///   - view: 0 HW, 1 HV, 2 OS, 3 USER.
  /// - Returns: whether it may.
  public static func permits(_ access: VectorAccess, byte: Int, view: Int) -> Bool {
    let letter = maps[view][byte]
    return letter == "w" || letter == "r" && access == .load
  }
}
