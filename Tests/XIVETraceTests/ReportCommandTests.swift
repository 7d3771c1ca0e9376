import Glibc
import SystemCalls
import Testing
import TraceRecords
import XIVEModel
import XIVETestSupport

@testable import XIVETrace

@Suite("xive trace report", .hangGuard)
struct ReportCommandTests {
  private static let converter = "rsvg-convert"

  /// A recorded file in a place of its own.
  private func record(_ place: borrowing TemporaryPlace) throws -> String {
    let path = "\(place.path)/sample.xivetrace"
    try SampleTrace.make(records: 2_000).write(to: path)
    return path
  }

  @Test("The page and the pictures of a file, all of which are listed")
  func files() throws {
    let place = try TemporaryPlace("xive-report")
    let file = try record(place)
    let (page, all) = ("\(place.path)/report.html", "\(place.path)/all.svg")
    let result = try CommandResult.xive("trace", "report", file, "-o", page, "--svg", all)
    #expect(result.exitCode == 0 && result.errors == [])
    #expect(result.output == [page, all])
    let report = TraceReport(try Trace(contentsOf: file))
    #expect(TextFile.contents(of: page) == report.html)
    #expect(TextFile.contents(of: all) == report.svg())
  }

  @Test("A path without a picture's ending is a directory, which is made")
  func directory() throws {
    let place = try TemporaryPlace("xive-report")
    let pictures = try TemporaryPlace("xive-pictures")
    let file = try record(place)
    for _ in 0..<2 {
      let result = try CommandResult.xive("trace", "report", file, "--svg", pictures.path)
      #expect(result.exitCode == 0)
      #expect(
        result.output
          == ["map", "timeline", "latency", "consumers"].map {
            "\(pictures.path)/\($0).svg"
          })
    }
    let report = TraceReport(try Trace(contentsOf: file))
    #expect(TextFile.contents(of: "\(pictures.path)/latency.svg") == report.svg([.latency]))
    let made = "\(place.path)/made"
    #expect(try CommandResult.xive("trace", "report", file, "--svg", made).exitCode == 0)
    #expect(try FileStatus(ofPath: "\(made)/map.svg").isRegularFile)
    TemporaryPlace.remove(made)
  }

  @Test(
    "PNG files have twice the pictures' pixels",
    .enabled(if: Requirement.has(converter, package: "librsvg2-bin")))
  func png() throws {
    let place = try TemporaryPlace("xive-report")
    let file = try record(place)
    let picture = "\(place.path)/report.PNG"
    let result = try CommandResult.xive("trace", "report", file, "--png", picture)
    #expect(result.exitCode == 0 && result.output == [picture])
    #expect(try width(ofPNG: picture) == 2_400)
  }

  /// The width in the head of a PNG file. Source: PNG specification, 11.2.2: after the signature of 8 bytes and the
  /// head's length and type.
  private func width(ofPNG path: String) throws -> Int {
    let dump = try CommandResult(["od", "-An", "-tu1", "-j", "0", "-N", "20", "-v", path])
    let bytes = dump.output.joined(separator: " ").split(separator: " ").compactMap { Int($0) }
    guard bytes.count == 20, bytes[1...3] == [80, 78, 71] else { return 0 }
    return bytes[16...19].reduce(0) { $0 << 8 | $1 }
  }

  @Test("Without the converter one line names its package")
  func noConverter() throws {
    let place = try TemporaryPlace("xive-report")
    let file = try record(place)
    let result = try CommandResult([
      "/usr/bin/env", "PATH=/nowhere", Built.path("xive"), "trace", "report", file, "--png",
      "\(place.path)/a.png",
    ])
    #expect(result.exitCode == 1)
    #expect(
      result.errors == [
        "xive: rsvg-convert, which makes PNG files, is not installed: apt-get install librsvg2-bin"
      ])
  }

  @Test("Of a damaged file what can be used, and a line that says so")
  func damaged() throws {
    let place = try TemporaryPlace("xive-report")
    let file = try record(place)
    let size = try CommandResult(["stat", "-c", "%s", file]).output.first.flatMap { Int($0) } ?? 0
    #expect(unsafe truncate(file, size - 100) == 0)
    let page = "\(place.path)/report.html"
    let result = try CommandResult.xive("trace", "report", file, "-o", page)
    #expect(result.exitCode == 0 && result.output == [page])
    #expect(result.errors.count == 1 && result.errors[0].hasPrefix("xive: \(file): "))
    #expect(TextFile.contents(of: page).hasPrefix("<!DOCTYPE html>"))
  }

  @Test("What cannot be done is said in one line")
  func refusals() throws {
    let place = try TemporaryPlace("xive-report")
    let file = try record(place)
    let refused: [(arguments: [String], code: Int32, words: String)] = [
      ([file], 64, "nothing to write: add -o FILE"),
      ([file, "-o", file], 64, "is the file that the report is of"),
      (["\(place.path)/none", "-o", "\(place.path)/a.html"], 1, "/none: cannot be read"),
      ([file, "-o", "\(place.path)/none/a.html"], 1, "none/a.html: cannot be written"),
      ([file, "--svg", file], 64, "is the file that the report is of"),
      ([file, "--svg", "\(place.path)/none/pictures"], 1, "none/pictures: cannot be written"),
      (["/bin/sh", "-o", "\(place.path)/a.html"], 1, "is no recorded trace"),
    ]
    for (arguments, code, words) in refused {
      let result = try CommandResult([Built.path("xive"), "trace", "report"] + arguments)
      #expect(result.exitCode == code, "\(arguments)")
      #expect(result.output == [])
      #expect(result.errors.first?.contains(words) == true, "\(result.errors)")
    }
  }
}
