internal import Synchronization
internal import SystemCalls

/// The requests that may wait for another request to be served, and the threads that handle them.
///
/// One thread always stays out of it, free for fills and accesses, which never wait: as many `ioctl`s as
/// there are threads, each with its payload in a page that has to be filled first, would wait for ever. A
/// request that finds no thread left is put aside, and the first thread that is done takes it.
final class WaitingRequests: Sendable {
  /// A request that was put aside, and when, in nanoseconds of `CLOCK_MONOTONIC`.
  struct Request {
    let message: [UInt8]
    let since: UInt64
  }
  private struct State {
    var freeThreads: Int
    var isClosed = false
    var aside: [Request] = []
  }
  private let state: Mutex<State>
  private let threadCount: Int

  /// - Parameter threadCount: threads that serve requests, at least 2.
  init(threadCount: Int) {
    precondition(threadCount >= 2, "one thread has to stay free")
    self.threadCount = threadCount
    state = Mutex(State(freeThreads: threadCount - 1))
  }

  /// Asks whether the calling thread may handle a request now; if so, it must call ``next()`` afterwards.
  /// - Parameter message: the request.
  /// - Returns: false when another thread will do it, or, once closed, nobody.
  func begin(_ message: UnsafeRawBufferPointer) -> Bool {
    state.withLock { state in
      guard !state.isClosed else { return false }
      guard state.freeThreads > 0 else {
        unsafe state.aside.append(
          Request(message: [UInt8](message), since: MonotonicClock.nanoseconds))
        return false
      }
      state.freeThreads -= 1
      return true
    }
  }

  /// Ends the handling of a request.
  /// - Returns: the request that the thread must handle next, or nil when it is free again.
  func next() -> Request? {
    state.withLock { state in
      guard state.aside.isEmpty else { return state.aside.removeFirst() }
      state.freeThreads += 1
      return nil
    }
  }

  /// Takes no more requests: those that come are left to the end of the connection, `ENOTCONN`.
  func close() { state.withLock { $0.isClosed = true } }

  /// Whether a thread may be waiting for another request to be served.
  var areActive: Bool { state.withLock { $0.freeThreads < threadCount - 1 } }
}
