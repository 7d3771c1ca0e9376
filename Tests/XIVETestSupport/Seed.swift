import Foundation

/// The seed of this run's random tests: `XIVE_SEED` from the environment, else a fresh one.
///
/// Put ``comment`` into every expectation of a random test, so that a failure tells how to repeat it.
public enum Seed {
  /// The seed.
  public static let value: UInt64 =
    ProcessInfo.processInfo.environment["XIVE_SEED"].flatMap { UInt64($0) }
    ?? UInt64.random(in: 0...UInt64.max)

  /// How to run the same numbers again.
  public static var comment: String { "XIVE_SEED=\(value)" }

  /// A generator that differs between the streams of one run.
  /// - Parameter stream: any number, such as a thread's index.
  /// - Returns: a generator that depends on the seed and the stream only.
  public static func generator(stream: UInt64 = 0) -> SplitMix64 {
    // Mixed once, or a stream would be the one before it without its first number.
    var mixed = SplitMix64(seed: value &+ stream &* 0x9e37_79b9_7f4a_7c15)
    return SplitMix64(seed: mixed.next())
  }
}

/// A small generator whose numbers depend on its seed alone.
///
/// Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
public struct SplitMix64: RandomNumberGenerator, Sendable {
  private var state: UInt64

  /// Creates the generator.
  /// - Parameter seed: any number.
  public init(seed: UInt64) { state = seed }

  /// Draws 64 bits.
  /// - Returns: the next number.
  public mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var bits = state
    bits = (bits ^ bits >> 30) &* 0xbf58_476d_1ce4_e5b9
    bits = (bits ^ bits >> 27) &* 0x94d0_49bb_1331_11eb
    return bits ^ bits >> 31
  }
}
