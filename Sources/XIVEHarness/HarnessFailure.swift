/// Why a scenario did not go to its end.
enum HarnessFailure: Error, Hashable, CustomStringConvertible {
  /// Something else was seen than what was expected.
  case unexpected(String, expected: String, seen: String)
  /// A watcher saw a page that had gone.
  case stale(String)
  /// A program or a call of the system failed.
  case system(String, String)
  /// A server or a consumer did not answer.
  case silent(String)
  /// Nothing went on for so many seconds; what was being done.
  case hang(String, seconds: Int)
  /// The user wants no more.
  case interrupted

  var description: String {
    switch self {
    case .unexpected(let what, let expected, let seen):
      "\(what): expected \(expected), saw \(seen)"
    case .stale(let what): "stale page: \(what)"
    case .system(let what, let why): "\(what): \(why)"
    case .silent(let what): "\(what): no answer"
    case .hang(let what, let seconds): "hang: nothing for \(seconds) s after: \(what)"
    case .interrupted: "interrupted"
    }
  }
}
