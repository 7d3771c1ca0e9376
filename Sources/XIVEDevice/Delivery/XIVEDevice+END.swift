internal import PagedDevice
internal import XIVEModel

extension XIVEDevice {
  /// Performs a load on one of an END's ESB pages. Inside the gate.
  /// - Returns: the value, or nil where there is no valid END, or no such operation, which has been counted.
  func load(
    at offset: UInt64, of index: ENDIndex, _ half: ENDHalf, by opener: Opener
  ) throws(DeviceError) -> UInt64? {
    if trace.isOn { trace.note(signature(of: index, half, at: offset)) }
    let operation = ESBOperation.load(at: offset, of: .management)
    var value: UInt64?
    if opener.isWritable || operation == .get {
      value = router.load(operation, on: index, half)
    } else if watch.pq(of: index, half) != nil {
      throw .badDescriptor
    }
    if value == nil { drop(.absentPage(offset), at: offset) }
    return value
  }

  /// The image of an END's page: PQ of its machine, all ones while it is not valid. Inside the gate.
  func image(
    of index: ENDIndex, _ half: ENDHalf, at start: UInt64, part: UInt32
  ) throws(PageFault) -> PageImage {
    guard hasBeenConnected(Server(rawValue: index.rawValue / 8)) else { throw PageFault() }
    watch.watchedENDs.watch(Int(index.rawValue), WatchedPart(half, part: part))
    return PageImage(
      body: images.management(watch.pq(of: index, half)),
      tail: signature(of: index, half, at: start).tail)
  }

  /// Brings the mapped pages of ENDs up to date.
  func updateENDs(_ deliver: (PageUpdate) -> Void) {
    watch.changedENDs.drain { number in
      forEachMappedPart(of: ENDIndex(rawValue: UInt32(number))) { half, _, offset in
        update(offset, watch.pq(of: ENDIndex(rawValue: UInt32(number)), half), deliver)
      }
      counters.liveUpdates.add(1, stripe: number)
    }
    watch.coveredENDs.drain { number in
      let index = ENDIndex(rawValue: UInt32(number))
      forEachMappedPart(of: index) { half, start, offset in
        let body = images.management(watch.pq(of: index, half))
        restore(
          PageImage(body: body, tail: signature(of: index, half, at: start).tail), at: offset,
          deliver)
      }
    }
  }

  /// Calls a function for each filled 4 KiB of an END's pages: which page, its offset, that of the 4 KiB.
  private func forEachMappedPart(of index: ENDIndex, _ body: (ENDHalf, UInt64, UInt64) -> Void) {
    watch.watchedENDs.forEachPart(of: Int(index.rawValue)) { part in
      let half: ENDHalf = part.half == .trigger ? .notification : .escalation
      let start = map.offset(of: .end(index: index.rawValue, half))
      body(half, start, start + part.offset)
    }
  }

  func signature(of index: ENDIndex, _ half: ENDHalf, at start: UInt64) -> PageSignature {
    var signature = PageSignature(backing: .end, deviceOffset: start)
    signature.half = half.rawValue
    signature.hardwareIRQ = index.rawValue
    return signature
  }
}
