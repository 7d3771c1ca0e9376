internal import SystemCalls
internal import SystemPackage

/// Where one scenario is performed: its devices, its random numbers, its steps and its log.
///
/// Thread rule: belongs to the thread that performs the scenario.
public final class Stage {
  let options: HarnessOptions
  let usualCycles: Int
  let control = RunControl()
  let log = RunLog()
  let place: TemporaryPlace
  /// Everything random of this scenario.
  var random: SeededGenerator
  private(set) var steps: [Step] = []
  /// Things that were compared.
  private(set) var checks = 0
  private(set) var devices: [OperatedDevice] = []
  /// Signatures that watchers had read when the devices were closed.
  private(set) var finalReads: UInt64 = 0
  private let observer: any RunObserver

  init(_ options: HarnessOptions, seed: UInt64, cycles: Int, _ observer: any RunObserver)
    throws(Errno)
  {
    self.options = options
    usualCycles = cycles
    self.observer = observer
    place = try TemporaryPlace("xive-hotplug")
    random = SeededGenerator(seed: seed)
  }

  /// Performs a numbered step.
  /// - Parameters:
  ///   - title: what is done.
  ///   - expected: what must come of it.
  ///   - body: does it and returns what was seen; throws when that is not what was expected.
  /// - Throws: what the body throws; why the scenario was ended from outside, when it was.
  func step(_ title: String, expected: String, _ body: () throws -> String) throws {
    log.add("step \(steps.count + 1): \(title)")
    do {
      try control.beat()
      note(title, expected, seen: try body(), isMet: true)
    } catch {
      // Once its files were taken from it anything fails: the reason for that is the reason.
      let reason = control.ending ?? error
      note(title, expected, seen: "\(reason)", isMet: false)
      throw reason
    }
  }

  private func note(_ title: String, _ expected: String, seen: String, isMet: Bool) {
    let step = Step(
      number: steps.count + 1, title: title, expected: expected, seen: seen, isMet: isMet)
    steps.append(step)
    log.add("\(isMet ? "as expected" : "NOT as expected"): \(step.text)")
    observer.made(step)
  }

  /// Compares what is seen with what must be.
  /// - Throws: ``HarnessFailure/unexpected(_:expected:seen:)`` when they differ.
  func expect<Value: Equatable>(
    _ what: @autoclosure () -> String, _ expected: Value, _ seen: Value
  ) throws {
    try control.beat()
    checks += 1
    if expected == seen { return }
    throw HarnessFailure.unexpected(what(), expected: "\(expected)", seen: "\(seen)")
  }

  /// Writes to the log alone.
  func note(_ text: String) { log.add(text) }

  /// Serves a device; it ends with the scenario.
  func serve(_ shape: ServedShape = ServedShape()) throws -> OperatedDevice {
    let device = try OperatedDevice(self, shape, number: devices.count)
    devices.append(device)
    return device
  }

  /// The last records of the devices whose servers still answer; why there are none of the others is in the log.
  func traceTails() -> [TraceTail] {
    devices.compactMap { device in
      do { return try TraceTail(device.traced) } catch {
        log.add("no trace of \(device.server.path): \(error)")
        return nil
      }
    }
  }

  /// Ends what is left, each with what it has to say; the first failure is thrown.
  func close() throws {
    var failure: (any Error)?
    for device in devices {
      do { try device.close() } catch { failure = failure ?? error }
      finalReads += device.reads
      let words = device.server.errorText
      if !words.isEmpty { log.add("the server of \(device.server.path) wrote:\n\(words)") }
    }
    devices = []
    if let failure { throw failure }
  }
}
