public import TraceRecords
internal import XIVEClient
internal import XIVEModel

/// A part of a recorded file.
public enum TraceBlock: Hashable, Sendable {
  /// Records as they came.
  case records([TraceRecord])
  /// Names of instructions of a process: by their addresses.
  case symbols(processID: UInt32, [UInt64: String])

  /// The block's kind and bytes, without its header.
  var encoded: (kind: TraceFormat.Kind, bytes: [UInt8]) {
    switch self {
    case .records(let records): (.records, unsafe records.withUnsafeBytes { unsafe [UInt8]($0) })
    case .symbols(let process, let names): (.symbols, Self.bytes(process, names))
    }
  }

  private static func bytes(_ process: UInt32, _ names: [UInt64: String]) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(word: process)
    bytes.append(word: UInt32(names.count))
    for (address, name) in names.sorted(by: { $0.key < $1.key }) {
      bytes.append(word: address)
      bytes.append(word: UInt32(name.utf8.count))
      bytes += name.utf8
    }
    return bytes
  }

  /// Reads a block that is not the device's; nil when its bytes make none.
  init?(_ kind: TraceFormat.Kind, _ bytes: [UInt8]) {
    switch kind {
    case .device: return nil
    case .records:
      guard bytes.count % TraceRecord.byteCount == 0 else { return nil }
      self = .records([TraceRecord](bytes))
    case .symbols:
      guard let (process, names) = Self.symbols(bytes) else { return nil }
      self = .symbols(processID: process, names)
    }
  }

  private static func symbols(_ bytes: [UInt8]) -> (UInt32, [UInt64: String])? {
    var bytes = TraceBytes(bytes)
    guard let process: UInt32 = bytes.word(), let count: UInt32 = bytes.word() else { return nil }
    var names: [UInt64: String] = [:]
    for _ in 0..<count {
      guard let address: UInt64 = bytes.word(), let length: UInt32 = bytes.word(),
        let name = bytes.text(Int(length))
      else { return nil }
      names[address] = name
    }
    return bytes.left == 0 ? (process, names) : nil
  }
}

extension [TraceRecord] {
  /// Creates records of their bytes.
  /// - Precondition: whole records.
  init(_ bytes: [UInt8]) {
    let count = bytes.count / TraceRecord.byteCount
    precondition(bytes.count % TraceRecord.byteCount == 0)
    unsafe self.init(unsafeUninitializedCapacity: count) { records, initialized in
      unsafe bytes.withUnsafeBytes {
        unsafe UnsafeMutableRawBufferPointer(records).copyMemory(from: $0)
      }
      initialized = count
    }
  }
}

/// The first block of a file: the device.
extension TracedDevice {
  var encoded: [UInt8] {
    var bytes: [UInt8] = []
    for word in [
      geometry.sourceCount, geometry.serverCount, geometry.pageShift, geometry.pagesPerSource,
      geometry.supportsStoreEOI ? 1 : 0, UInt32(segments.count), UInt32(path.utf8.count), 0,
    ] { bytes.append(word: word) }
    bytes.append(word: start.monotonic)
    bytes.append(word: start.realtime)
    for segment in segments {
      bytes.append(word: segment.lowerBound)
      bytes.append(word: segment.upperBound)
    }
    return bytes + path.utf8
  }

  /// Reads the block; nil when it describes no device that there can be.
  init?(_ bytes: [UInt8]) {
    var bytes = TraceBytes(bytes)
    var words: [UInt32] = []
    for _ in 0..<8 {
      guard let word: UInt32 = bytes.word() else { return nil }
      words.append(word)
    }
    guard let geometry = Self.geometry(words), let monotonic: UInt64 = bytes.word(),
      let realtime: UInt64 = bytes.word()
    else { return nil }
    var segments: [Range<UInt64>] = []
    for _ in 0..<words[5] {
      guard let lower: UInt64 = bytes.word(), let upper: UInt64 = bytes.word(), lower <= upper
      else { return nil }
      segments.append(lower..<upper)
    }
    guard bytes.left == Int(words[6]), let path = bytes.text(bytes.left) else { return nil }
    self.init(
      geometry: geometry, segments: segments, path: path,
      start: Start(monotonic: monotonic, realtime: realtime))
  }

  private static func geometry(_ words: [UInt32]) -> DeviceGeometry? {
    guard (1...UInt32(LISN.maximumCount)).contains(words[0]), words[1] <= Server.maximumCount,
      words[2] == 12 || words[2] == 16, (1...2).contains(words[3]), words[4] <= 1
    else { return nil }
    return DeviceGeometry(
      sourceCount: words[0], serverCount: words[1], pageShift: words[2], pagesPerSource: words[3],
      supportsStoreEOI: words[4] == 1)
  }
}
