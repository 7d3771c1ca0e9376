internal import PagedDevice

/// What the server answered, for whoever wants to watch: a demonstration, a test, a tracer.
public struct AnsweredRequest: Hashable, Sendable {
  /// What was asked.
  public enum Kind: String, Hashable, Sendable {
    /// A page fill, the answer to a fault.
    case fill
    /// A load on a descriptor opened with `O_DIRECT`.
    case load
    /// A store by a write.
    case store
    /// Pages that were stored to through mappings.
    case writeBack
  }

  /// What was asked.
  public let kind: Kind
  /// Byte offset in the file.
  public let offset: UInt64
  /// Bytes filled, loaded or stored.
  public let byteCount: Int
  /// The thread that touched the file; 0 for the kernel's own write-back.
  public let threadID: UInt32
  /// Whether it was answered with data rather than with an error.
  public let succeeded: Bool
  /// Time from having read the request to having answered it.
  public let nanoseconds: UInt64
}

/// Hears of answered requests.
///
/// Thread rule: called on request threads, after the answer; must not block, and must not touch the file.
public protocol RequestObserver: Sendable {
  /// Takes note of one request.
  /// - Parameter request: what was answered.
  func answered(_ request: AnsweredRequest)
}

extension RequestObserver {
  func answered(
    _ request: WireRequest, by thread: UInt32, succeeded: Bool, nanoseconds: UInt64
  ) {
    let (kind, offset, byteCount): (AnsweredRequest.Kind, UInt64, Int)
    switch request {
    case .pageFill(let at, let count): (kind, offset, byteCount) = (.fill, at, count)
    case .exactLoad(let at, let count, _): (kind, offset, byteCount) = (.load, at, count)
    case .exactStore(let at, let data, _, _): (kind, offset, byteCount) = (.store, at, data.count)
    case .writeBack(let at, let data): (kind, offset, byteCount) = (.writeBack, at, data.count)
    case .poll, .interrupt, .control, .other, .malformed: return
    }
    answered(
      AnsweredRequest(
        kind: kind, offset: offset, byteCount: byteCount, threadID: thread, succeeded: succeeded,
        nanoseconds: nanoseconds))
  }
}

extension Opener {
  /// The opener that a file handle stands for: bit 0 tells whether it may write.
  init(handle: UInt64) { self.init(id: handle >> 1, isWritable: handle & 1 == 1) }

  /// The file handle that the kernel keeps for the opener.
  var handle: UInt64 { id << 1 | (isWritable ? 1 : 0) }
}
