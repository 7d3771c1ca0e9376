public import SystemPackage
public import XIVEClient

/// Why a trace cannot be performed again.
public enum ReplayError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The device refused, or its server has gone.
  case client(XIVEClientError)
  /// The system refused.
  case system(Errno)
  /// What the device recorded cannot be read.
  case stream(TraceStreamError)

  /// Whether it says that the replay cannot go on, rather than what the device answers.
  var isFatal: Bool {
    switch self {
    // A hole in a mapping.
    case .system(let error): error != .badAddress
    case .client(let error): error.errno == .socketNotConnected || error.errno == .connectionAbort
    case .stream: true
    }
  }

  /// One line for the user.
  public var description: String {
    switch self {
    case .client(let error): "\(error)"
    case .system(let error): "the system refuses what a replay needs: \(error)"
    case .stream(let error): "the replaying device: \(error)"
    }
  }
}
