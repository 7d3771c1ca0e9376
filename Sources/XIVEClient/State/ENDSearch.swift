internal import XIVEModel

/// Finds the valid event notification descriptors of a device, which nothing lists.
///
/// Each is a request of its own, so that not all numbers are tried: those of the machine's servers, and of the others
/// those that a source's or another descriptor's events go to. What nobody leads to has no effect.
struct ENDSearch {
  private var isAsked: Set<ENDIndex> = []
  private(set) var found: [ENDRecord] = []

  /// Tries a server's descriptors.
  mutating func ask(_ server: Server, of device: borrowing XIVEDescriptor) throws(XIVEClientError) {
    for priority in Priority.allCases { try ask(ENDIndex(server, priority), of: device) }
  }

  /// Tries those beyond the machine's servers that sources lead to.
  mutating func ask(
    followingSources sources: [SourceRecord], beyond serverCount: UInt32,
    of device: borrowing XIVEDescriptor
  ) throws(XIVEClientError) {
    var indices: Set<ENDIndex> = []
    for index in sources.indices where sources[index].server.rawValue >= serverCount {
      indices.insert(ENDIndex(sources[index].server, sources[index].priority))
    }
    for index in indices { try ask(index, of: device) }
  }

  /// Tries a descriptor, and then the one that its events are passed on to.
  mutating func ask(_ index: ENDIndex, of device: borrowing XIVEDescriptor) throws(XIVEClientError)
  {
    var next: ENDIndex? = index
    while let index = next, device.hasEND(index), isAsked.insert(index).inserted {
      let end = try device.end(at: index)
      if end.isValid { found.append(ENDRecord(index: index, end: end)) }
      next = end.isValid ? end.escalationEND : nil
    }
  }
}

extension XIVEDescriptor {
  fileprivate func hasEND(_ index: ENDIndex) -> Bool {
    index.rawValue < geometry.serverCount * UInt32(Priority.allCases.count)
  }
}
