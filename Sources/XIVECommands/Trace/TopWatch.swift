internal import SystemCalls
internal import SystemPackage
internal import XIVEClient
internal import XIVETrace

/// A device that is watched: its stream of records, and the view that they are counted in.
struct TopWatch: ~Copyable {
  private var stream: TraceStream<DeviceTraceSource>
  private var names = TaskNames()
  private var model: TopModel
  private let path: String
  private let interval: UInt64
  private var deadline: UInt64

  /// Milliseconds between two looks for records: so that they come in batches, and long before they are overwritten.
  private static let pause = 50

  init(_ path: String, interval seconds: Double) throws {
    let source = try DeviceTraceSource(path)
    let map = try source.describe(path).map
    var stream = try TraceStream(source, from: .now)
    // The first read has the device make records; what is there belongs to the time before.
    repeat { _ = try stream.read() } while stream.mayHaveMore
    self.stream = stream
    self.path = path
    let now = MonotonicClock.nanoseconds
    model = TopModel(map, start: now)
    interval = UInt64(seconds * 1e9)
    deadline = now + interval
  }

  /// Takes what has been recorded.
  private mutating func take() throws(TraceStreamError) {
    while true {
      let records = try stream.read()
      for record in names.missing(in: records) + records { model.take(record) }
      // What comes meanwhile is for the next look: a busy device would never let this end.
      if !stream.mayHaveMore { return }
    }
  }

  /// Watches one interval.
  mutating func interval(by order: TopOrder, pages: Int) throws(TraceStreamError) -> TopView {
    while MonotonicClock.nanoseconds < deadline {
      let left = deadline - min(deadline, MonotonicClock.nanoseconds)
      MonotonicClock.sleep(nanoseconds: min(left, UInt64(Self.pause) * 1_000_000))
      try take()
    }
    model.turn(at: MonotonicClock.nanoseconds)
    return model.view(by: order, pages: pages)
  }

  /// Shows one interval after the other until the user has seen enough.
  mutating func run(order: TopOrder) throws {
    let screen = try Screen()
    var controls = TopControls(order: order)
    var size = screen.size
    try draw(on: screen, controls)
    while let keys = screen.keys(within: Self.pause) {
      var isChanged = size != screen.size
      // An escape begins a key that is none of ours.
      for key in keys where keys.first != 0x1b {
        switch controls.press(key) {
        case .leave: return
        case .draw: isChanged = true
        case .nothing: break
        }
      }
      try take()
      if !controls.isPaused, MonotonicClock.nanoseconds >= deadline {
        turn()
        isChanged = true
      }
      size = screen.size
      if isChanged { try draw(on: screen, controls) }
    }
  }

  private mutating func turn() {
    let now = MonotonicClock.nanoseconds
    model.turn(at: now)
    deadline = now + interval
  }

  private func draw(on screen: borrowing Screen, _ controls: TopControls) throws(Errno) {
    let size = screen.size
    let view = model.view(by: controls.order, pages: size.rows)
    let lines = TopScreen(view, title: path, controls: controls)
      .lines(width: size.columns, height: size.rows)
    try screen.show(lines.map { $0.style == .head ? "\u{1b}[7m\($0.text)\u{1b}[0m" : $0.text })
  }
}
