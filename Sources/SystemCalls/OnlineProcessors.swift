/// The processors of the machine that are on line.
public enum OnlineProcessors {
  /// Their numbers, ascending.
  ///
  /// Source: Linux `Documentation/ABI/testing/sysfs-devices-system-cpu`, `online`.
  public static var numbers: [Int32] {
    numbers(in: TextFile.contents(of: "/sys/devices/system/cpu/online"))
  }

  /// Reads a list such as `0-3,8`.
  /// - Parameter text: numbers and ranges with commas between them.
  /// - Returns: the numbers; only 0 where nothing can be read.
  public static func numbers(in text: String) -> [Int32] {
    let words = text.split { $0 == "," || $0.isNewline }
    let numbers = words.flatMap { word -> [Int32] in
      let ends = word.split(separator: "-").compactMap { Int32($0) }
      guard let first = ends.first, let last = ends.last, first <= last else { return [] }
      return Array(first...last)
    }
    return numbers.isEmpty ? [0] : numbers
  }
}
