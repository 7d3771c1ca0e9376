internal import XIVEClient
internal import XIVEModel

extension OperatedDevice {
  /// Waits until every watcher has read every page once more, and looks at what they saw.
  func settle() throws {
    try board?.settle()
    try stage.look()
  }

  /// Has a mapped device send messages by the first and the last interrupt of a run, and the guest end them.
  func fireAndEnd(_ run: PassthroughRun) throws {
    for (lisn, target) in [run.pairs.first, run.pairs.last].compactMap(\.self) {
      try verify(lisn)
      // Pending since it was mapped: this message is queued, and comes when the guest has ended the first.
      try perform(.trigger, target)
      try verify(lisn)
      try endOfInterrupt(lisn)
      try endOfInterrupt(lisn)
      try verify(target)
    }
  }
}

extension Stage {
  /// A PHB's index.
  func phb(_ number: UInt16) throws -> PHBIndex {
    guard let index = PHBIndex(rawValue: number) else {
      throw HarnessFailure.unexpected(
        "PHB index", expected: "one below \(PHBIndex.maximumCount)", seen: "\(number)")
    }
    return index
  }

  /// One of several, at random.
  func any<Value>(of values: [Value]) throws -> Value {
    guard let value = values.randomElement(using: &random) else {
      throw HarnessFailure.system("a choice", "there is nothing to choose from")
    }
    return value
  }

  /// Whether watchers get the time to read everything now: now and then, for at other times they must be overtaken.
  func settles() -> Bool { Int.random(in: 0..<4, using: &random) == 0 }
}
