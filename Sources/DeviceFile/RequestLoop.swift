internal import CFuse3
internal import PagedDevice
internal import Synchronization
internal import SystemCalls

/// The threads that serve requests: one leads, reading requests and answering them; the others stand by.
///
/// The leader answers fills and accesses itself, which never wait, and looks for the next request for a
/// moment before it sleeps: waking a thread costs more than most requests. It hands the lead over before
/// anything that may wait for another request to be served, and when requests queue up.
final class RequestLoop: Sendable {
  private let session: Session
  private let device: any PagedDevice
  private let notifier: Notifier
  private let tracer: (any RequestTracer)?
  private let waiting: WaitingRequests
  private let mailboxes: Mailboxes
  /// When a request was seen waiting that nobody had read, in nanoseconds of `CLOCK_MONOTONIC`; 0 when none was. The
  /// leader's.
  private let seenWaiting = Atomic<UInt64>(0)
  private let baton: Baton
  private let stopping = Atomic<Bool>(false)
  private let stopEvent: Event
  /// Raised when the file has been unmounted, by whomever.
  let ended: Event
  /// Looks before the leader sleeps, at most; none on one processor, which the toucher needs.
  private let spinCount: Int
  /// Threads that ``run()`` must be the body of.
  let threadCount: Int

  init(
    _ session: Session, _ device: any PagedDevice, _ notifier: Notifier,
    _ options: DeviceFile.Options
  ) throws(DeviceFileError) {
    self.session = session
    self.device = device
    self.notifier = notifier
    tracer = device.tracer
    mailboxes = session.mailboxes
    spinCount = options.spinCount
    threadCount = max(2, options.threadCount)
    waiting = WaitingRequests(threadCount: threadCount)
    do {
      baton = try Baton()
      stopEvent = try Event()
      ended = try Event()
    } catch { throw .system("eventfd", error) }
  }

  /// Makes all threads return from ``run()``.
  func stop() {
    waiting.close()
    stopping.store(true, ordering: .sequentiallyConsistent)
    stopEvent.raise()
  }

  /// Serves requests until the loop is stopped or the file is unmounted; the body of each thread.
  func run() {
    let worker = Worker(session, device, notifier, waiting)
    var patience = Patience(limit: spinCount)
    repeat { baton.take() } while lead(worker, &patience)
    pass()
  }

  /// Hands the lead over; until somebody else has it nobody looks into mailboxes.
  private func pass() {
    mailboxes.rest()
    baton.pass()
  }

  /// Leads until the lead has been handed over. The caller holds the baton.
  /// - Returns: false when there is nothing left to serve; the caller still holds the baton.
  private func lead(_ worker: Worker, _ patience: inout Patience) -> Bool {
    while let waited = receive(worker, &patience) {
      var isLeading = true
      let since = seenWaiting.exchange(0, ordering: .relaxed)
      if !waited && isRequestWaiting {
        if tracer?.isOn ?? false {
          seenWaiting.store(MonotonicClock.nanoseconds, ordering: .relaxed)
        }
        pass()
        isLeading = false
      }
      worker.handle(waitingSince: since == 0 ? nil : since) {
        guard isLeading else { return }
        pass()
        isLeading = false
      }
      if !isLeading { return true }
    }
    return false
  }

  /// Whether there is one more request than the one that was read.
  private var isRequestWaiting: Bool {
    unsafe Readiness.isReadable(fuse_session_fd(session.pointer))
  }

  /// Reads the next request, and performs what is posted in mailboxes meanwhile.
  /// - Returns: whether it had to be waited for, or nil at the end.
  private func receive(_ worker: Worker, _ patience: inout Patience) -> Bool? {
    var looks = 0
    var hasSlept = false
    // A thread that waits for a fill ends only when somebody serves it.
    while !stopping.load(ordering: .relaxed) || waiting.areActive {
      if mailboxes.serve(by: worker) {
        patience.succeeded()
        looks = 0
      }
      switch worker.receive() {
      case .request:
        if looks > 0 { patience.succeeded() }
        return looks > 0 || hasSlept
      case .ended:
        stop()
        ended.raise()
        return nil
      case .nothing: looks += 1
      }
      if looks <= patience.looks {
        mailboxes.wake()
      } else if mailboxes.rest(), mailboxes.serve(by: worker) {
        looks = 0
      } else {
        patience.failed()
        unsafe _ = Readiness.wait(fuse_session_fd(session.pointer), stopEvent.rawValue)
        hasSlept = true
        looks = 0
      }
    }
    return nil
  }
}
