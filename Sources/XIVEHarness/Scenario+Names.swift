extension Scenario {
  /// Finds a scenario.
  /// - Parameter name: what the user calls it.
  /// - Returns: the scenario, or nil when there is none of that name.
  public static func named(_ name: String) -> Scenario? { all.first { $0.name == name } }

  /// The names that are most like one that is none.
  /// - Parameter name: what the user wrote.
  /// - Returns: at most three names that begin alike or differ in few letters, the nearest first.
  public static func names(near name: String) -> [String] {
    let scored = all.map { (score: distance(name, $0.name), name: $0.name) }
    let near = scored.filter {
      $0.score <= max(2, name.count / 3) || (!name.isEmpty && $0.name.contains(name))
    }
    return near.sorted { ($0.score, $0.name) < ($1.score, $1.name) }.prefix(3).map(\.name)
  }

  /// How many letters must be put in, taken out or changed to turn one word into the other.
  static func distance(_ a: String, _ b: String) -> Int {
    let b = Array(b)
    var row = Array(0...b.count)
    for (i, letter) in a.enumerated() {
      var diagonal = row[0]
      row[0] = i + 1
      for j in b.indices {
        let change = diagonal + (letter == b[j] ? 0 : 1)
        diagonal = row[j + 1]
        row[j + 1] = min(change, row[j] + 1, row[j + 1] + 1)
      }
    }
    return row[b.count]
  }
}
