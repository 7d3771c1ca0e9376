internal import XIVEModel

extension MachineState {
  /// Checks that a machine can be in this state, whatever device it is restored to.
  /// - Throws: ``StateFileError/inconsistent(_:_:)``.
  func check() throws(StateFileError) {
    try checkGeometry()
    try checkVPs()
    try checkENDs()
    for index in sources.indices {
      if let flaw = sources[index].flaw(serverCount: geometry.serverCount) {
        throw .inconsistent("source \(LISN(rawValue: UInt32(index)))", flaw)
      }
    }
  }

  private func checkGeometry() throws(StateFileError) {
    try require(
      1...UInt32(LISN.maximumCount) ~= geometry.sourceCount, "\(geometry.sourceCount) sources")
    try require(
      [12, 16].contains(geometry.pageShift), "device pages of 2^\(geometry.pageShift) bytes")
    try require(1...2 ~= geometry.pagesPerSource, "\(geometry.pagesPerSource) ESB pages a source")
    try require(
      1...UInt32(Server.maximumCount) ~= geometry.serverCount,
      "room for \(geometry.serverCount) servers")
    try require(
      !sources.isEmpty && sources.count <= Int(geometry.sourceCount),
      "\(sources.count) sources, and room for \(geometry.sourceCount)")
    try require(
      1...geometry.serverCount ~= serverCount,
      "\(serverCount) servers, and room for \(geometry.serverCount)")
  }

  private func require(_ isMet: Bool, _ words: @autoclosure () -> String) throws(StateFileError) {
    guard isMet else { throw .inconsistent("geometry", words()) }
  }

  private func checkVPs() throws(StateFileError) {
    var next: UInt32 = 0
    for vp in vps {
      let server = vp.server.rawValue
      guard server >= next, server < serverCount else {
        throw .inconsistent("vCPU of server \(server)", "beyond \(serverCount), or out of order")
      }
      next = server + 1
    }
  }

  private func checkENDs() throws(StateFileError) {
    var next: UInt32 = 0
    let limit = geometry.serverCount * UInt32(Priority.allCases.count)
    for record in ends {
      let index = record.index.rawValue
      guard index >= next, index < limit else {
        throw .inconsistent("END \(index)", "beyond \(limit), or out of order")
      }
      if let flaw = record.end.flaw { throw .inconsistent("END \(index)", flaw) }
      next = index + 1
    }
  }
}

extension END {
  /// Says why no device has it so, in the order of group 0x51's refusals.
  fileprivate var flaw: String? {
    if !isValid { return "is not valid, and so is none" }
    if isFormat1 || isGroup { return "notifies a logical server or a group of vCPUs" }
    guard isEnqueued else { return nil }
    // An index has 22 bits.
    if queueShift > 24 { return "its queue has 2^\(queueShift) bytes, and at most 2^24 can be" }
    if queueIndex >= queueEntryCount {
      return "its queue's next entry is \(queueIndex) of \(queueEntryCount)"
    }
    if !queueAddress.isMultiple(of: 1 << UInt64(queueShift)) {
      return "its queue at 0x\(String(queueAddress, radix: 16)) is not aligned to its size"
    }
    return nil
  }
}
