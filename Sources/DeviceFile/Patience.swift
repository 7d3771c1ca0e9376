/// How often a leader looks for the next request before it sleeps.
///
/// Looking pays where the toucher runs on another processor: nobody has to be woken for its next request. It
/// harms where the toucher waits for this processor, and is wasted on touches that are far apart. So after
/// looking in vain it sleeps at once for a while, which doubles with each failure in a row.
struct Patience {
  private let limit: Int
  private var failures = 0
  /// Sleeps without a look before the next try.
  private var sleepsLeft = 0

  /// At most 127 sleeps between two tries: fewer than one request in a hundred pays for a vain one.
  private static let maximumFailures = 7

  /// Starts with all its patience: so many looks; 0 never looks.
  init(limit: Int) { self.limit = limit }

  /// Looks that are worth it now, after a first one that finds nothing.
  var looks: Int { sleepsLeft > 0 ? 0 : limit }

  /// Notes that a request came while it was being looked for.
  mutating func succeeded() { failures = 0 }

  /// Notes that it has to be slept for the next request.
  mutating func failed() {
    if sleepsLeft > 0 {
      sleepsLeft -= 1
    } else {
      failures = min(failures + 1, Self.maximumFailures)
      sleepsLeft = 1 << failures - 1
    }
  }
}
