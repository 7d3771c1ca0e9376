internal import CXIVE
internal import TraceRecords
internal import XIVEModel

/// What a trace's own requests have made: it was not there at the start, though it was when the file was written.
///
/// A server that records all the time has records of before somebody asked for a file, and for the device's pages.
public struct ReplayStart: Sendable {
  /// Sources that were created; of one that had existed before nothing is lost, for it begins anew.
  public private(set) var createdSources: Set<UInt32> = []
  /// PHBs that were added.
  public private(set) var addedPHBs: Set<UInt16> = []

  /// Looks for the first sign of each source and PHB.
  /// - Parameter trace: what was recorded.
  public init(_ trace: Trace) {
    var sources: Set<UInt32> = []
    var phbs: Set<UInt16> = []
    for record in trace.records {
      if let lisn = Self.lisn(record), sources.insert(lisn).inserted, record.makesSource {
        createdSources.insert(lisn)
      }
      if let phb = record.hardware?.phb, phbs.insert(phb).inserted, record.makesPHB {
        addedPHBs.insert(phb)
      }
    }
  }

  private static func lisn(_ record: TraceRecord) -> UInt32? {
    switch record.kind {
    case .fill, .load, .store, .writeBack:
      // Of END and TIMA pages it is another number.
      record.backing == .tima || record.backing == .end ? nil : record.number
    case .attribute where record.generation == UInt32(KVM_DEV_XIVE_GRP_SOURCE):
      record.offset.flatMap { UInt32(exactly: $0) }
    default: nil
    }
  }
}

extension TraceRecord {
  /// Whether a source that has this for its first sign was not there before.
  fileprivate var makesSource: Bool {
    result == .absent(.notCreated)
      || kind == .attribute && half == UInt8(XIVE_TRACE_SET) && result == .ok
  }

  /// Whether a PHB that has this for its first sign was not there before: its region's pages tell of it as well.
  fileprivate var makesPHB: Bool { kind == .plug || result == .absent(.noPHB) }
}
