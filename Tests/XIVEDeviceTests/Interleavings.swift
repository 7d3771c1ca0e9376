import Testing

/// Every order in which the steps of some parties can follow each other.
enum Interleavings {
  /// Parties at their start, and what must be true when all have come to their end.
  struct Scene {
    let parties: [any Party]
    let check: (Comment) -> Void

    init(_ parties: [any Party], check: @escaping (Comment) -> Void) {
      self.parties = parties
      self.check = check
    }
  }

  /// Takes the steps of a scene in every order, each from a fresh start.
  /// - Parameters:
  ///   - isEnough: asked after each order; true ends it.
  ///   - make: builds the scene; must build the same each time.
  /// - Returns: how many orders were taken.
  /// - Throws: what building a scene throws, and an expectation's error for a deadlock.
  @discardableResult
  static func forEach(isEnough: () -> Bool = { false }, _ make: () throws -> Scene) throws -> Int {
    var choices: [Int] = []
    var count = 0
    repeat {
      var widths: [Int] = []
      try play(make(), &choices, &widths)
      count += 1
      while let last = choices.last, last + 1 == widths[choices.count - 1] { choices.removeLast() }
      if let last = choices.popLast() { choices.append(last + 1) }
    } while !choices.isEmpty && !isEnough()
    return count
  }

  private static func play(_ scene: Scene, _ choices: inout [Int], _ widths: inout [Int]) throws {
    var order: [String] = []
    while case let live = scene.parties.filter({ !$0.isDone }), !live.isEmpty {
      let ready = live.filter { !$0.isBlocked }
      try #require(!ready.isEmpty, "deadlock after \(order.joined(separator: ", "))")
      if widths.count == choices.count { choices.append(0) }
      let party = ready[choices[widths.count]]
      widths.append(ready.count)
      order.append(party.name)
      party.step()
    }
    scene.check("\(order.joined(separator: ", "))")
  }
}
