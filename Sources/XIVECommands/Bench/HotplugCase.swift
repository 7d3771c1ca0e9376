/// A device that is plugged and unplugged, and what its consumers do.
struct HotplugCase: Hashable {
  /// Interrupts that are mapped at once.
  let vectors: Int
  /// Whether consumers touch all pages before and after; otherwise they only map them.
  let isTouched: Bool
  /// Processes that have the pages mapped.
  let consumers: Int
  /// Whether the new pages are pushed before the answer.
  let isPrefaulted: Bool

  static let vectorCounts = [1, 64, 2_048]
  static let consumerCounts = [1, 8]

  /// All of them.
  static let all = vectorCounts.flatMap { vectors in
    [false, true].flatMap { isTouched in
      consumerCounts.flatMap { consumers in
        [false, true].map { isPrefaulted in
          HotplugCase(
            vectors: vectors, isTouched: isTouched, consumers: consumers,
            isPrefaulted: isPrefaulted)
        }
      }
    }
  }

  /// Pages of a window that belong to the device's interrupts.
  var pageCount: Int { vectors * 2 }

  /// Sources of the small server that it fits into.
  var smallSourceCount: Int { vectors <= 64 ? 1 << 10 : 1 << 12 }

  /// The phases that there are.
  var phases: [HotplugPhase] { isTouched ? HotplugPhase.allCases : [.map, .unmap, .all] }
}

/// A part of plugging and unplugging.
enum HotplugPhase: String, Encodable, CaseIterable {
  /// The request that maps, with its zap, and with the new pages where they are pushed.
  case map
  /// The consumers' first touch of all pages afterwards.
  case touch
  /// Both.
  case refault
  /// The request that unmaps, with its zap.
  case unmap
  /// All of it.
  case all
}

/// The times of one plug and unplug, in nanoseconds.
struct HotplugTimes {
  let map: Double
  let touch: Double
  let unmap: Double

  subscript(phase: HotplugPhase) -> Double {
    switch phase {
    case .map: map
    case .touch: touch
    case .refault: map + touch
    case .unmap: unmap
    case .all: map + touch + unmap
    }
  }
}

/// How much is measured.
struct HotplugPlan {
  private let smallRounds: Int
  private let largeRounds: Int
  private let smallCycles: Int

  /// A run of 2,048 vectors takes a hundred times as long as one of 1.
  static let full = HotplugPlan(smallRounds: 40, largeRounds: 10, smallCycles: 5)
  static let quick = HotplugPlan(smallRounds: 1, largeRounds: 1, smallCycles: 2)

  var rounds: Int { max(smallRounds, largeRounds) }

  /// Turns that each server takes; one more comes first and is not counted.
  func rounds(_ item: HotplugCase) -> Int { item.vectors > 64 ? largeRounds : smallRounds }

  /// Plugs in a turn.
  func cycles(_ item: HotplugCase) -> Int { item.vectors > 64 ? 1 : smallCycles }
}
