internal import Logging
internal import XIVEModel

/// What guests do wrong, as lines of a log.
enum GuestErrorLog {
  /// A function that logs each mistake at debug level, or nil where nobody would see it.
  static func function(_ logger: Logger) -> (@Sendable (GuestError) -> Void)? {
    guard logger.logLevel <= .debug else { return nil }
    return { error in
      logger.debug(
        "guest error", metadata: ["kind": "\(error.kind)", "object": "\(error.object)"])
    }
  }
}

extension GuestError {
  /// Its kind, by the name that `xive map --json` counts it under.
  fileprivate var kind: String {
    switch self {
    case .absentPage: "absentPage"
    case .esbOperation: "esbOperation"
    case .endStore: "endStore"
    case .timaAccess: "timaAccess"
    case .timaStore: "timaStore"
    case .easInvalid: "easInvalid"
    case .endInvalid: "endInvalid"
    case .nvtInvalid: "nvtInvalid"
    case .camDuplicate: "camDuplicate"
    case .escalationLoop: "escalationLoop"
    case .contextInvalid: "context"
    case .image: "image"
    }
  }

  /// What it happened to.
  fileprivate var object: String {
    switch self {
    case .absentPage(let offset), .esbOperation(let offset), .image(let offset):
      "offset \(hexadecimal(offset))"
    case .timaAccess(let server), .timaStore(let server), .contextInvalid(let server):
      "vCPU \(server.rawValue)"
    case .easInvalid(let lisn): "LISN \(lisn)"
    case .endStore(let end), .endInvalid(let end), .escalationLoop(let end):
      "END \(hexadecimal(UInt64(end.rawValue)))"
    case .nvtInvalid(let nvt), .camDuplicate(let nvt): "NVT \(hexadecimal(UInt64(nvt.rawValue)))"
    }
  }
}
