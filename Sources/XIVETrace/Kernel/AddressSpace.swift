/// What a process's addresses show.
public struct AddressSpace: Hashable, Sendable {
  /// The mappings, ascending, none over another.
  public private(set) var mappings: [ProcessMapping] = []

  /// Creates the space of a process that maps nothing.
  public init() {}

  /// Reads the text of `/proc/PID/maps`; lines of another form are left out.
  public init(maps text: String) {
    for line in text.split(separator: "\n") {
      guard let mapping = ProcessMapping(mapsLine: line) else { continue }
      map(mapping)
    }
  }

  /// Puts a mapping in place of whatever was at its addresses.
  public mutating func map(_ mapping: ProcessMapping) {
    let taken = mapping.addresses
    let first = index(after: taken.lowerBound)
    var last = first
    while last < mappings.count, mappings[last].addresses.lowerBound < taken.upperBound {
      last += 1
    }
    let left = mappings[first..<last].flatMap { $0.parts(outside: taken) }
    let below = left.filter { $0.addresses.upperBound <= taken.lowerBound }
    let above = left.filter { $0.addresses.lowerBound >= taken.upperBound }
    mappings.replaceSubrange(first..<last, with: below + [mapping] + above)
  }

  /// The mapping that an address lies in, or nil.
  public func mapping(at address: UInt64) -> ProcessMapping? {
    let found = index(after: address)
    guard found < mappings.count, mappings[found].addresses.contains(address) else { return nil }
    return mappings[found]
  }

  /// The first mapping that ends behind an address.
  private func index(after address: UInt64) -> Int {
    var (low, high) = (0, mappings.count)
    while low < high {
      let middle = (low + high) / 2
      if mappings[middle].addresses.upperBound > address { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
