internal import TraceRecords

/// What came of performing a trace again.
public struct ReplayReport: Sendable {
  /// Requests that were performed again.
  public let performed: Int
  /// Records that were compared: of these requests, and of what followed from them.
  public private(set) var compared = 0
  /// Faults among the requests.
  public private(set) var faults = 0
  /// How many records were not performed again, or not compared, and why.
  public let notCompared: [ReplayObstacle: Int]
  /// Whether the trace begins later than its device.
  public let beginsLate: Bool
  /// Records of the replay that were lost; what they told counts as different.
  public let lost: UInt64
  /// What differs, in the order of the trace.
  public private(set) var differences: [ReplayDifference] = []

  init(_ plan: ReplayPlan, performed: Int, lost: UInt64) {
    self.performed = performed
    self.lost = lost
    notCompared = plan.obstacles
    beginsLate = plan.beginsLate
  }

  mutating func compare(_ step: ReplayStep, _ replayed: [TraceRecord]) {
    if case .touch = step.action { faults += 1 }
    guard step.isCompared else { return }
    compared += max(step.recorded.count, replayed.count)
    differences += ReplayDifference.find(
      step.recorded, replayed, hasCause: step.hasCause)
  }
}
