extension ReferenceRouter {
  /// Connects a vCPU: its rings are reset, its NVTs are valid and its OS context is pushed.
  /// - Parameter server: which.
  public mutating func connect(_ server: Int) {
    vcpus[server] = ReferenceVCPU(server: server)
    vcpus[server].isConnected = true
    setNVT(Self.firstNVT + server, isValid: true)
    if let thread = vcpus[server].threadCAM { setNVT(Int(thread), isValid: true) }
    pushOS(server, 0x8000_0000 | UInt32(Self.firstNVT + server))
  }

  /// Disconnects a vCPU: its contexts are taken away, its NVT stays.
  /// - Parameter server: which.
  public mutating func disconnect(_ server: Int) {
    vcpus[server].isConnected = false
    for ring in ReferenceRing.allCases { vcpus[server].setWord2(ring, 0) }
  }

  /// Loads from a TIMA page.
  /// - Parameters:
  ///   - server: whose.
  ///   - view: 0 HW, 1 HV, 2 OS, 3 USER.
  ///   - offset: a byte offset in the page.
  ///   - size: bytes.
  /// - Returns: the register, right-justified; nil for a size or an alignment that no load has.
  public mutating func load(_ server: Int, view: Int, at offset: Int, size: Int) -> UInt64? {
    guard [1, 2, 4, 8].contains(size), offset % size == 0 else { return nil }
    let place = offset % 0x1000
    if let special = ReferenceTIMATable.operation(.load, at: place, size: size, view: view) {
      return load(server, special)
    }
    let bytes = place % 0x40..<place % 0x40 + size
    let readable = bytes.filter { ReferenceTIMATable.permits(.load, byte: $0, view: view) }
    if place >= 0x800 || size < 4 || bytes.lowerBound < 0x10 || readable.isEmpty {
      count(.timaAccess)
      return UInt64.max >> UInt64(64 - 8 * size)
    }
    var value: UInt64 = 0
    for byte in bytes {
      value = value << 8
      if readable.contains(byte) { value |= UInt64(vcpus[server].registers[byte]) }
    }
    return value
  }

  /// Stores to a TIMA page.
  /// - Parameters:
  ///   - value: the register, right-justified.
  ///   - server: whose.
  ///   - view: 0 HW, 1 HV, 2 OS, 3 USER.
  ///   - offset: a byte offset in the page.
  ///   - size: bytes.
  /// - Returns: false for a size or an alignment that no store has.
  @discardableResult
  public mutating func store(
    _ value: UInt64, _ server: Int, view: Int, at offset: Int, size: Int
  ) -> Bool {
    guard [1, 2, 4, 8].contains(size), offset % size == 0 else { return false }
    let place = offset % 0x1000
    if let special = ReferenceTIMATable.operation(.store, at: place, size: size, view: view) {
      store(value, server, special)
      return true
    }
    let bytes = place % 0x40..<place % 0x40 + size
    let writable = bytes.filter { ReferenceTIMATable.permits(.store, byte: $0, view: view) }
    if place >= 0x800 || size < 4 || bytes.lowerBound < 0x10 || writable.isEmpty {
      count(.timaAccess)
      return true
    }
    for byte in writable {
      let shift = UInt64(8 * (bytes.upperBound - 1 - byte))
      vcpus[server].registers[byte] = UInt8(value >> shift & 0xff)
    }
    return true
  }

  // MARK: - Special operations

  private mutating func load(_ server: Int, _ operation: ReferenceTIMAOperation) -> UInt64 {
    switch operation {
    case .getCPPR: return UInt64(vcpus[server][.os, ReferenceVCPU.cppr])
    case .getThread: return UInt64(vcpus[server][.phys, ReferenceVCPU.word2])
    case .acknowledgeUser:
      let nsr = vcpus[server][.user, ReferenceVCPU.nsr]
      vcpus[server][.user, ReferenceVCPU.nsr] = nsr & 0x7f
      return UInt64(nsr)
    case .acknowledgeOS: return vcpus[server].acknowledge(.os)
    case .acknowledgePhysical: return vcpus[server].acknowledge(.phys)
    case .pullUser: return pull(server, .user)
    case .pullOS: return pull(server, .os)
    case .pullPool: return pull(server, .pool)
    case .setCPPR, .pushOS, .setPhysicalCPPR, .setThread, .pushUser, .setPending:
      preconditionFailure("\(operation) is no load")
    }
  }

  private mutating func store(_ value: UInt64, _ server: Int, _ operation: ReferenceTIMAOperation) {
    let byte = UInt8(value & 0xff)
    let word = UInt32(value & 0xffff_ffff)
    switch operation {
    case .setCPPR: vcpus[server].setCPPR(.os, byte)
    case .setPhysicalCPPR: vcpus[server].setCPPR(.phys, byte)
    case .setThread: vcpus[server][.phys, ReferenceVCPU.word2] = byte
    case .setPending: vcpus[server].makePending(ReferenceVCPU.pendingBit(of: byte), .os)
    case .pushOS: pushOS(server, word)
    case .pushUser: vcpus[server].setWord2(.user, word)
    case .getCPPR, .getThread, .acknowledgeUser, .acknowledgeOS, .acknowledgePhysical, .pullUser,
      .pullOS, .pullPool:
      preconditionFailure("\(operation) is no store")
    }
  }

  /// Takes the valid bit from a ring; its word 2 as it was.
  private mutating func pull(_ server: Int, _ ring: ReferenceRing) -> UInt64 {
    let word = vcpus[server].word2(ring)
    if !vcpus[server].isValid(ring) { count(.context) }
    vcpus[server].setWord2(ring, ReferenceFields.replacing(0...0, of: word, with: 0))
    return UInt64(word)
  }

  /// Gives the OS ring its word 2 and, with a valid one, what has waited in the NVT.
  private mutating func pushOS(_ server: Int, _ word: UInt32) {
    vcpus[server].setWord2(.os, word)
    if !vcpus[server].isValid(.os) { return }
    let cam = ReferenceFields.field(8...31, of: word)
    var waiting: UInt8 = 0
    if isNVTValid(block: cam >> 19, index: cam & 0x7_ffff) {
      waiting = backlog(Int(cam & 0x7_ffff))
      setBacklog(Int(cam & 0x7_ffff), 0)
    } else {
      count(.nvtInvalid)
    }
    // Also what the ring itself has kept since it was pulled is presented again.
    vcpus[server].makePending(waiting, .os)
  }
}
