internal import DeviceClient
internal import Glibc
internal import Synchronization
internal import SystemCalls
internal import SystemPackage
public import XIVEClient
public import XIVEModel

/// What a consumer process does that maps devices over its window itself: plugs and unplugs runs as it is told,
/// while its threads read every page's signature.
///
/// Thread rule: belongs to one thread.
public final class OvermappingConsumer {
  private let shown: ShownPages
  private let threads = ThreadGroup()

  /// Maps a window on some sources and starts reading.
  /// - Parameters:
  ///   - device: the device.
  ///   - sources: the sources in the window.
  ///   - base: the device's window that it is made from.
  ///   - isTrapped: whether its touches are exact loads, whose answers it judges.
  ///   - threadCount: reading threads.
  /// - Throws: the error of mapping, or of starting a thread.
  public init(
    _ device: borrowing XIVEDescriptor, _ sources: Range<LISN>, in base: GuestWindow.Base,
    isTrapped: Bool = false, threadCount: Int
  ) throws {
    _ = nice(10)
    // A hole ends this process at once: a handler that looks at the crash would touch the mapping again.
    signal(SIGBUS, SIG_DFL)
    let shown = ShownPages(
      try GuestWindow(device, sources, in: base, access: isTrapped ? .trapped : .mapped),
      isTrapped: isTrapped, readers: threadCount)
    self.shown = shown
    for reader in 0..<threadCount {
      try threads.start("read") { while !shown.isOver { shown.readAll(reader) } }
    }
  }

  /// Does one thing: `plug LISN PHB IRQ COUNT GENERATION`, `unplug LISN PHB IRQ COUNT`, `pause LISN COUNT`,
  /// `hole LISN COUNT`, `look`.
  /// - Parameter line: what.
  /// - Returns: what to answer: `done`, or what is wrong.
  public func obey(_ line: String) -> String {
    let words = line.split(separator: " ")
    let numbers = words.dropFirst().compactMap { UInt64($0) }
    do {
      switch (words.first, numbers.count) {
      case ("plug", 5): try shown.plug(try run(numbers), generation: numbers[4])
      case ("unplug", 4): try shown.unplug(try run(numbers))
      case ("pause", 2): shown.pause(lisns(numbers))
      case ("hole", 2): return lisns(numbers).lazy.compactMap(shown.probe).first ?? "done"
      case ("look", 0): shown.settle()
      default: return "unknown: \(line)"
      }
    } catch { return "\(error)" }
    return shown.mistake ?? "done"
  }

  private func lisns(_ numbers: [UInt64]) -> [LISN] {
    (numbers[0]..<numbers[0] + numbers[1]).map { LISN(rawValue: UInt32($0)) }
  }

  private func run(_ numbers: [UInt64]) throws(Errno) -> PassthroughRun {
    guard let phb = PHBIndex(rawValue: UInt16(numbers[1])) else { throw .invalidArgument }
    return PassthroughRun(
      LISN(rawValue: UInt32(numbers[0])), to: phb, HardwareIRQ(rawValue: UInt16(numbers[2])),
      count: UInt32(numbers[3]))
  }

  /// Ends the readers.
  /// - Returns: how many signatures they have read, and the first that must not be.
  public func end() -> (reads: Int, mistake: String?) {
    shown.isOver = true
    threads.join()
    return (shown.reads, shown.mistake)
  }
}
