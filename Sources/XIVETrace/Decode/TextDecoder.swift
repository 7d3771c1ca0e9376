public import XIVEModel

/// Rewrites the offsets and addresses of other tools' text into the names of a device's pages.
///
/// Understands, line by line and each by itself: `perf script` (page-fault samples with addresses, tracepoints of
/// page faults and of the page cache, `--show-mmap-events`), `perf trace -F`, and the text of tracefs. Everything else of
/// a line stays as it was, and so do lines that are not of the device.
///
/// Thread rule: one thread at a time.
public struct TextDecoder {
  private var device: TextDevice
  /// By process; 0 for those of the file of mappings, whose process is not known.
  private var spaces: [UInt32: AddressSpace] = [:]
  /// What was found so far.
  public private(set) var tally = Tally()

  /// What was found in a text.
  public struct Tally: Hashable, Sendable {
    /// Lines.
    public var lines = 0
    /// Events that name an offset or an address, by the tool that wrote them.
    public var events: [TextFormat: Int] = [:]
    /// Lines that were rewritten, by the tool that wrote them.
    public var rewritten: [TextFormat: Int] = [:]
    /// Events of the device at places where it has no page.
    public var holes = 0
    /// Events with an address that lies in no known mapping.
    public var unmapped = 0
    /// Mappings of the device that are known.
    public var mappings = 0
  }

  /// A line that was rewritten.
  public struct Line: Hashable, Sendable {
    /// The whole line as it is now, without its end.
    public let bytes: [UInt8]
    /// The tool that wrote it.
    public let format: TextFormat
    /// The event's name, as the tool writes it.
    public let event: String
    /// The place's device offset in bytes: the first one's, of a range of pages.
    public let offset: UInt64
    /// The place's name.
    public let name: String
    /// What was wanted, if the line tells.
    public let access: KernelFault.Access
    /// The thread's name.
    public let comm: String?
    /// The thread.
    public let threadID: UInt32?
    /// The processor.
    public let processor: UInt32?
    /// Nanoseconds on the tool's clock.
    public let time: UInt64?
  }

  /// Creates a decoder.
  /// - Parameters:
  ///   - map: the device's layout.
  ///   - path: the device file's path, as the text has it; nil to take the file that has offsets beyond a terabyte which
  ///     name pages.
  ///   - identity: the device file, where it is there.
  ///   - maps: the text of `/proc/PID/maps` of the process that the text is of.
  public init(
    map: DeviceMap, path: String? = nil, identity: FileIdentity? = nil, maps: String? = nil
  ) {
    device = TextDevice(map: map, path: path, identity: identity)
    guard let maps else { return }
    let space = AddressSpace(maps: maps)
    // Twice: which file it is may be known only at the last mapping.
    for mapping in space.mappings { _ = device.shows(mapping) }
    for mapping in space.mappings where device.shows(mapping) { tally.mappings += 1 }
    spaces[0] = space
  }

  /// Reads a line.
  /// - Parameter line: without its end.
  /// - Returns: the line in the device's names; nil for one that stays as it is.
  public mutating func decode(_ line: ArraySlice<UInt8>) -> Line? {
    tally.lines += 1
    if let found = TextMapping(line) {
      spaces[found.processID, default: AddressSpace()].map(found.mapping)
      if device.shows(found.mapping) { tally.mappings += 1 }
      return nil
    }
    guard let event = TextEvent(line) else { return nil }
    tally.events[event.format, default: 0] += 1
    return rewrite(line, event)
  }

  private mutating func rewrite(_ line: ArraySlice<UInt8>, _ event: TextEvent) -> Line? {
    var bytes = Array(line)
    var first: (offset: UInt64, name: String)?
    // From behind, so that the places in front stay where they are.
    for place in event.places.reversed() {
      guard let offset = offset(of: place.target, event.header) else { continue }
      guard let name = device.name(of: offset) else {
        tally.holes += 1
        continue
      }
      let start = place.range.lowerBound - line.startIndex
      bytes.replaceSubrange(start..<start + place.range.count, with: name.utf8)
      first = (offset, name)
    }
    guard let first else { return nil }
    tally.rewritten[event.format, default: 0] += 1
    return Line(
      bytes: bytes, format: event.format, event: event.name, offset: first.offset, name: first.name,
      access: event.access, comm: event.header.comm, threadID: event.header.threadID,
      processor: event.header.processor, time: event.header.time)
  }

  private mutating func offset(of target: TextEvent.Target, _ header: TextHeader) -> UInt64? {
    switch target {
    case .offset(let offset, let file): return device.has(offset, in: file) ? offset : nil
    case .address(let address):
      guard let mapping = mapping(at: address, header) else {
        tally.unmapped += 1
        return nil
      }
      return device.shows(mapping) ? mapping.fileOffset(at: address) : nil
    }
  }

  /// A line has the thread, rarely the process: where only one process has something there, it is that one.
  private func mapping(at address: UInt64, _ header: TextHeader) -> ProcessMapping? {
    for process in [header.processID, header.threadID] {
      guard let process, let space = spaces[process] else { continue }
      return space.mapping(at: address) ?? spaces[0]?.mapping(at: address)
    }
    let found = Set(spaces.values.compactMap { $0.mapping(at: address) })
    return found.count == 1 ? found.first : nil
  }
}
