internal import CSystemCalls
internal import Glibc
public import SystemPackage

/// Threads of the system's own, for loops that block; started one by one and waited for together.
///
/// Thread rule: belongs to one thread.
public final class ThreadGroup {
  private var handles: [pthread_t] = []

  /// Creates an empty group.
  public init() {}

  /// Starts a thread.
  /// - Parameters:
  ///   - name: at most 15 bytes, as `top -H` shows it.
  ///   - body: runs on the thread; the thread ends when it returns.
  /// - Throws: the error of `pthread_create`.
  public func start(_ name: String, _ body: @escaping @Sendable () -> Void) throws(Errno) {
    let box = unsafe Unmanaged.passRetained(ThreadBody(name: name, run: body))
    var handle = pthread_t()
    let error = unsafe pthread_create(&handle, nil, runThread, box.toOpaque())
    guard error == 0 else {
      unsafe box.release()
      throw Errno(rawValue: error)
    }
    handles.append(handle)
  }

  /// Leaves the threads to themselves: they end with the process.
  public func detach() {
    for handle in handles { pthread_detach(handle) }
    handles = []
  }

  /// Waits until all threads have ended. Whoever calls this has told them to.
  public func join() {
    for handle in handles { pthread_join(handle, nil) }
    handles = []
  }
}

private final class ThreadBody {
  let name: String
  let run: @Sendable () -> Void
  init(name: String, run: @escaping @Sendable () -> Void) {
    self.name = name
    self.run = run
  }
}

// A free function: a closure written in an isolated context would inherit its actor and trap here.
private nonisolated func runThread(_ box: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  guard let box = unsafe box else { return nil }
  let body = unsafe Unmanaged<ThreadBody>.fromOpaque(box).takeRetainedValue()
  unsafe csystem_name_thread(body.name)
  body.run()
  return nil
}
