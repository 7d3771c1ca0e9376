internal import PagedDevice
internal import Synchronization
internal import XIVEModel

extension XIVEDevice {
  /// The vCPU whose TIMA a page shows to a descriptor; nil for nobody's. Inside the gate.
  func server(of target: PageTarget, for opener: Opener) -> (Server, TIMAView)? {
    switch target {
    case .connectedTIMA(let view): connections[opener].map { ($0, view) }
    case .tima(let server, let view): connections.isConnected(server) ? (server, view) : nil
    case .esb, .end, .phb: nil
    }
  }

  /// Performs a load on a TIMA. Inside the gate.
  /// - Returns: the value, or nil for what the TIMA drops, which has been counted.
  func load(
    at offset: UInt64, byteCount: Int, ofTIMA server: Server, _ view: TIMAView, by opener: Opener
  ) throws(DeviceError) -> UInt64? {
    if trace.isOn { trace.note(signature(ofTIMA: server, view, at: offset)) }
    guard let operation = TIMAOperation.load(at: offset, byteCount: byteCount, view: view) else {
      drop(.timaAccess(server), at: offset)
      return nil
    }
    guard opener.isWritable || !operation.hasEffect else { throw .badDescriptor }
    return router.presenter.load(operation, of: server)
  }

  /// Performs a store on a TIMA. Inside the gate.
  func store(
    _ value: UInt64, at offset: UInt64, byteCount: Int, inTIMA server: Server, _ view: TIMAView
  ) {
    if trace.isOn { trace.note(signature(ofTIMA: server, view, at: offset)) }
    guard let operation = TIMAOperation.store(at: offset, byteCount: byteCount, view: view) else {
      return drop(.timaAccess(server), at: offset)
    }
    router.presenter.store(value, operation, of: server)
  }

  /// Whether a vCPU has ever been connected to a server: its END pages exist.
  func hasBeenConnected(_ server: Server) -> Bool {
    connectCounts[Int(server.rawValue)].load(ordering: .sequentiallyConsistent) > 0
  }

  /// The vCPU that a TIMA page which can be mapped shows: in region 3 a connected one's, at offset 0 the only one's.
  ///
  /// Inside the gate.
  /// - Returns: nil for nobody's, which at offset 0 still is a page.
  /// - Throws: ``/PagedDevice/PageFault`` for a hole.
  func mappedTIMA(_ target: PageTarget) throws(PageFault) -> Server? {
    switch target {
    case .connectedTIMA(.os):
      let now = connections.now
      guard now.servers.count < 2 else { throw PageFault() }
      return now.servers.first?.value
    case .tima(let server, .os):
      guard connections.isConnected(server) else { throw PageFault() }
      return server
    default: throw PageFault()
    }
  }

  /// The image of a vCPU's TIMA: its OS ring, as the OS view shows it; all ones elsewhere, and where nobody is.
  func image(ofTIMA server: Server?, at start: UInt64) -> PageImage {
    guard let server else {
      return PageImage(body: images.blank, tail: PageSignature(unconnected: .os, at: start).tail)
    }
    return PageImage(
      head: head(of: server), body: images.blank, tail: signature(ofTIMA: server, at: start).tail)
  }

  /// The first 64 bytes of a TIMA page: the four rings.
  func head(of server: Server) -> PageImage.Line {
    var head = PageImage.Line(repeating: .max)
    head[2] = watch.rings[Int(server.rawValue)].load(ordering: .sequentiallyConsistent).bigEndian
    return head
  }

  /// The identity of a vCPU's TIMA page.
  func signature(
    ofTIMA server: Server, _ view: TIMAView = .os, at start: UInt64
  ) -> PageSignature {
    var signature = PageSignature(backing: .tima, deviceOffset: start)
    signature.half = view.rawValue
    signature.hardwareIRQ = server.rawValue
    signature.generation = UInt64(
      connectCounts[Int(server.rawValue)].load(ordering: .sequentiallyConsistent))
    return signature
  }

  /// Brings the mapped TIMA pages of vCPUs up to date.
  func updateTIMAs(_ deliver: (PageUpdate) -> Void) {
    watch.changedTIMAs.drain { number in
      let server = Server(rawValue: UInt32(number))
      forEachMappedPart(of: server) { _, offset in
        let ring = head(of: server)[2]
        unsafe withUnsafeBytes(of: ring) { bytes in
          deliver(unsafe PageUpdate(offset: offset + 0x10, unsafeBytes: bytes))
        }
      }
      counters.liveUpdates.add(1, stripe: number)
    }
    watch.coveredTIMAs.drain { number in
      let server = number == watch.nobody ? nil : Server(rawValue: UInt32(number))
      forEachMappedPart(of: server) { start, offset in
        restore(image(ofTIMA: server, at: start), at: offset, deliver)
      }
    }
  }

  /// Calls a function with the offsets of each filled 4 KiB that shows a vCPU, or nobody, and of the device page that
  /// it is in.
  private func forEachMappedPart(of server: Server?, _ body: (UInt64, UInt64) -> Void) {
    let place = watch.place(of: server)
    watch.watchedTIMAs.forEachPart(of: place) { part in
      let target =
        server.flatMap { part.window == .esb ? .tima($0, .os) : nil }
        ?? PageTarget.connectedTIMA(.os)
      let isShown = gate.pass(stripe: place) {
        do throws(PageFault) { return try mappedTIMA(target) == server } catch { return false }
      }
      let start = map.offset(of: target)
      if isShown { body(start, start + part.offset) }
    }
  }
}
