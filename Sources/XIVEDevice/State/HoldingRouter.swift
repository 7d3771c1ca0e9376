internal import Synchronization
internal import XIVEModel

/// Passes events on while the machine runs; while it is stopped they stay at their sources' doors.
///
/// All who forward are inside the gate: once it has been drained after ``isRunning`` was changed, everybody has seen
/// that. Safe from any thread; no lock.
final class HoldingRouter: EventRouter {
  private let cells: SourceCells
  private let next: Router
  private let trace: DeviceTracer
  private let running = Atomic<Bool>(true)

  init(_ cells: SourceCells, passingTo next: Router, _ trace: DeviceTracer) {
    self.cells = cells
    self.next = next
    self.trace = trace
  }

  /// Whether events are passed on.
  var isRunning: Bool {
    get { running.load(ordering: .sequentiallyConsistent) }
    set { running.store(newValue, ordering: .sequentiallyConsistent) }
  }

  func forward(_ lisn: LISN) {
    if isRunning {
      pass(lisn)
    } else {
      if trace.isOn { trace.forwarded(lisn, next.eas(of: lisn), isHeld: true) }
      _ = cells.perform(.latch, on: lisn)
    }
  }

  private func pass(_ lisn: LISN) {
    if trace.isOn { trace.forwarded(lisn, next.eas(of: lisn), isHeld: false) }
    next.forward(lisn)
  }

  /// Passes on what has stayed at a source's door, unless the machine has been stopped again.
  ///
  /// Asked once: whoever stops it now waits for this, and whoever then reads the source's state finds the event
  /// either at its door or in its queue.
  func release(_ lisn: LISN) {
    // A look first: most doors are clear, and taking writes the cell.
    guard isRunning, cells.state(of: lisn).isLatched, cells.perform(.unlatch, on: lisn).value == 1
    else { return }
    pass(lisn)
  }
}
