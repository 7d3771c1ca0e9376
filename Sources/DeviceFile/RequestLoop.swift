internal import CFuse3
internal import PagedDevice
internal import Synchronization
internal import SystemCalls

/// The threads that serve requests: one leads, reading requests and answering them; the others stand by.
///
/// The leader answers fills and accesses itself, which never wait, and looks for the next request for a
/// moment before it sleeps: waking a thread costs more than most requests. It hands the lead over before
/// anything that may wait for another request to be served, and when requests arrive faster than it
/// answers.
final class RequestLoop: Sendable {
  private let session: Session
  private let device: any PagedDevice
  private let notifier: Notifier
  private let observer: (any RequestObserver)?
  private let baton: Baton
  private let stopping = Atomic<Bool>(false)
  private let stopEvent: Event
  /// Raised when the file has been unmounted, by whomever.
  let ended: Event
  /// Reads without a result before the leader sleeps; none on one processor, which the toucher needs.
  private let spinCount: Int

  init(
    _ session: Session, _ device: any PagedDevice, _ notifier: Notifier,
    _ observer: (any RequestObserver)?, spinCount: Int
  ) throws(DeviceFileError) {
    self.session = session
    self.device = device
    self.notifier = notifier
    self.observer = observer
    self.spinCount = spinCount
    do {
      baton = try Baton()
      stopEvent = try Event()
      ended = try Event()
    } catch { throw .system("eventfd", error) }
  }

  /// Makes all threads return from ``run()``.
  func stop() {
    stopping.store(true, ordering: .sequentiallyConsistent)
    stopEvent.raise()
  }

  /// Serves requests until the loop is stopped or the file is unmounted; the body of each thread.
  func run() {
    let worker = unsafe Worker(
      session: session.pointer, device: device, notifier: notifier, observer: observer)
    while true {
      baton.take()
      if !lead(worker) { break }
    }
    baton.pass()
  }

  /// Leads until the lead has been handed over. The caller holds the baton.
  /// - Returns: false when there is nothing left to serve; the caller still holds the baton.
  private func lead(_ worker: Worker) -> Bool {
    while true {
      guard let waited = receive(worker) else { return false }
      var isLeading = true
      if !waited {
        // The queue was not empty: somebody else may take the next one meanwhile.
        baton.pass()
        isLeading = false
      }
      worker.handle {
        guard isLeading else { return }
        baton.pass()
        isLeading = false
      }
      if !isLeading { return true }
    }
  }

  /// Reads the next request.
  /// - Returns: whether it had to be waited for, or nil at the end.
  private func receive(_ worker: Worker) -> Bool? {
    var tries = 0
    while !stopping.load(ordering: .relaxed) {
      switch worker.receive() {
      case .request: return tries > 0
      case .ended:
        stop()
        ended.raise()
        return nil
      case .nothing: break
      }
      tries += 1
      if tries >= spinCount {
        unsafe _ = Readiness.wait(fuse_session_fd(session.pointer), stopEvent.rawValue)
        tries = 1
      }
    }
    return nil
  }
}
