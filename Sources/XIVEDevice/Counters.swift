internal import XIVEModel

/// What the device has done since it started.
struct Counters: ~Copyable, Sendable {
  /// 4 KiB pages filled.
  let fills = StripedCounter()
  /// Page fills that were refused: each touch of a hole is asked for twice by the kernel.
  let refusedFills = StripedCounter()
  /// Exact loads performed.
  let exactLoads = StripedCounter()
  /// Exact stores performed.
  let exactStores = StripedCounter()
  /// Stores found in written-back images.
  let mappedStores = StripedCounter()
  /// Sources whose mapped pages were given new bytes.
  let liveUpdates = StripedCounter()
  /// Events of PHB interrupts that no source is mapped to: they go to the host.
  let hostEvents = StripedCounter()
  /// Ranges of pages that had to be dropped.
  let zaps = StripedCounter()
  /// Events of eventfds, levels of lines and messages that were to be injected; those of them that hardware's sources
  /// refused; ends of interrupts that were told.
  let injections = StripedCounter()
  let lines = StripedCounter()
  let messages = StripedCounter()
  let refusedInjections = StripedCounter()
  let resampled = StripedCounter()
}
