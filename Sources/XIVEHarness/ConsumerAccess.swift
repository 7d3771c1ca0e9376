/// What a touch of a consumer's pages is.
public enum ConsumerAccess: String, Hashable, Sendable, CaseIterable {
  /// A look at an image, whose signature tells which page it is of which moment.
  case mapped
  /// An exact load of PQ, whose answer tells who serves the page.
  case trapped
  /// Every other thread the one, the others the other; of processes with one window, every other process.
  case both

  /// Whether a watcher or a process of that number has a trapped window.
  func isTrapped(_ number: Int) -> Bool {
    switch self {
    case .mapped: false
    case .trapped: true
    case .both: number % 2 == 1
    }
  }
}
