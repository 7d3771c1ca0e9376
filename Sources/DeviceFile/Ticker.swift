internal import SystemCalls
internal import SystemPackage

/// Delivers stores to mappings that nobody synchronizes: looks for dirty pages again and again.
///
/// It has its own descriptor of the file and a thread that serves no requests. It never maps the file: the
/// end of the process would wait for itself.
final class Ticker: Sendable {
  private let file: OwnedDescriptor
  private let stopEvent: Event
  private let milliseconds: Int

  /// Opens the file, which waits until it is served; looks every so many milliseconds, or never for 0.
  init(_ path: String, milliseconds: Int) throws(Errno) {
    file = try OwnedDescriptor(opening: path, [])
    stopEvent = try Event()
    self.milliseconds = milliseconds
  }

  /// Ticks until stopped; the body of the thread.
  func run() {
    while !stopEvent.wait(milliseconds: milliseconds > 0 ? CInt(milliseconds) : -1) {
      file.startWriteBack()
    }
  }

  /// Ends the thread and delivers what is left.
  func stop() {
    stopEvent.raise()
    // It fails only when the file has been unmounted from outside: then nothing is left to deliver.
    try? file.flush()
  }
}
