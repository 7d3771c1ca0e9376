internal import CSystemCalls

/// The system's monotonic clock.
public enum MonotonicClock {
  /// Nanoseconds since some point in the past.
  public static var nanoseconds: UInt64 { csystem_monotonic_nanoseconds() }

  /// The number of processors that this process may run on.
  public static var processorCount: Int { Int(csystem_processor_count()) }

  /// Sleeps; signals do not shorten it.
  /// - Parameter nanoseconds: how long.
  public static func sleep(nanoseconds: UInt64) { csystem_sleep_nanoseconds(nanoseconds) }
}
