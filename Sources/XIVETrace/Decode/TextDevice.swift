internal import XIVEModel

/// The device that lines are searched for, as far as it is known.
struct TextDevice {
  let map: DeviceMap
  private var path: String?
  private var identity: FileIdentity?
  /// Whether the user has named it: nothing is guessed then.
  private let isNamed: Bool

  init(map: DeviceMap, path: String?, identity: FileIdentity?) {
    self.map = map
    self.path = path
    self.identity = identity
    isNamed = path != nil
  }

  /// Whether a mapping shows the device.
  mutating func shows(_ mapping: ProcessMapping) -> Bool {
    let isKnown = isDevice(mapping.file) || mapping.path == path
    if isKnown || (!isNamed && Self.isFile(mapping.path) && isTelling(mapping.offset)) {
      learn(mapping.file, mapping.path)
      return true
    }
    return false
  }

  /// Whether an offset is one in the device.
  mutating func has(_ offset: UInt64, in file: TextEvent.File) -> Bool {
    switch file {
    case .identity(let found):
      if isDevice(found) { return true }
      guard !isNamed, identity == nil, isTelling(offset) else { return false }
      learn(found, "")
    case .path(let found):
      if found == path { return true }
      guard !isNamed, path == nil, Self.isFile(found), isTelling(offset) else { return false }
      path = found
    }
    return true
  }

  /// The page at an offset, and where in it: `esb:17:management+0x800`; nil where the device has no page.
  func name(of offset: UInt64) -> String? {
    guard let target = map.target(at: offset) else { return nil }
    var text = target.description
    // So that it names the same place when it is read again.
    if case .esb = target, Region(rawValue: offset >> Region.shift) == .kernel {
      text = "kernel" + text.dropFirst("esb".count)
    }
    let within = offset & (map.pageByteCount - 1)
    return within == 0 ? text : text + "+" + hexadecimalText(within)
  }

  private func isDevice(_ file: FileIdentity) -> Bool { file.inode != 0 && file == identity }

  /// Memory of no file counts its offsets from address 0, and perf names it `//anon`, `[heap]` and so on.
  private static func isFile(_ path: String) -> Bool {
    path.hasPrefix("/") && !path.hasPrefix("//")
  }

  /// Whether an offset can hardly be another file's: a page of the device beyond the first terabyte.
  private func isTelling(_ offset: UInt64) -> Bool {
    offset >= Region.esb.start && map.target(at: offset) != nil
  }

  private mutating func learn(_ file: FileIdentity, _ path: String) {
    if identity == nil, file.inode != 0 { identity = file }
    if self.path == nil, !path.isEmpty { self.path = path }
  }
}
