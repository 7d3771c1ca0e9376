/// Rows under a head, in as many columns as a width has room for.
struct TopTable {
  /// A column: its head, and when it has to go.
  struct Column {
    let title: String
    /// Of several columns that do not fit the highest goes first; 0 stays, and is cut off at worst.
    let rank: Int
    var isNumber = true
  }

  let columns: [Column]
  var rows: [[String]] = []

  /// The lines, the head first, none longer than the width.
  func lines(width: Int) -> [String] {
    let shown = columnsThatFit(width)
    let heads = [columns.map(\.title)]
    return (heads + rows).map { row in
      let cells = shown.map { column in
        let padding = String(repeating: " ", count: widths[column] - row[column].count)
        return columns[column].isNumber ? padding + row[column] : row[column] + padding
      }
      return cells.joined(separator: "  ").trimmed.cut(to: width)
    }
  }

  private var widths: [Int] {
    columns.indices.map { column in
      rows.reduce(columns[column].title.count) { max($0, $1[column].count) }
    }
  }

  private func columnsThatFit(_ width: Int) -> [Int] {
    let widths = widths
    var shown = Array(columns.indices)
    while shown.reduce(-2, { $0 + widths[$1] + 2 }) > width {
      let last = shown.max { columns[$0].rank < columns[$1].rank }
      guard let last, columns[last].rank > 0 else { break }
      shown.removeAll { $0 == last }
    }
    return shown
  }
}

extension String {
  /// The text without the spaces at its end.
  fileprivate var trimmed: String {
    var text = self
    while text.last == " " { text.removeLast() }
    return text
  }

  /// The text, no longer than a width; a sign at its end tells that there was more.
  func cut(to width: Int) -> String {
    guard count > width else { return self }
    return width > 0 ? prefix(width - 1) + ">" : ""
  }

  /// The text with a question mark for each character that is not one column of a terminal, or a command to it.
  var printable: String {
    String(
      decoding: unicodeScalars.map { (0x20..<0x7f).contains($0.value) ? UInt8($0.value) : 63 },
      as: UTF8.self)
  }
}
