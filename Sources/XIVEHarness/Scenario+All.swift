extension Scenario {
  /// All scenarios, in the order in which they are listed and run.
  public static let all: [Scenario] = [
    .plugUnplug, .manyDevices, .recycle, .surpriseRemoval, .consumerOvermap, .mixed, .pendingUnplug,
    .fenceRecover, .fork,
    .consumerKilled, .serverKilled, .fillsInFlight, .vmaSplit, .random, .trappedTriggers, .kvmGuest,
    .qemu,
  ]
}
