import FoundationEssentials
import SystemCalls
import Testing
import XIVETestSupport

@Suite("xive trace decode", .hangGuard)
final class DecodeCommandTests {
  private let directory: TemporaryDirectory
  private static let text = """
    # tracer: nop
        consumer-2415    [001] d.... 32536.769554: page_fault_user: address=0x7fca4e523000 ip=0x5 error_code=0x6
        consumer-2415    [001] ..... 32536.769555: mm_filemap_fault: dev=0:39 ino=1 ofs=1099511640064
    end without an end
    """
  private static let maps = "7fca4e520000-7fca4e620000 rw-s 10000000000 00:27 1    /tmp/device\n"

  init() throws { directory = try TemporaryDirectory() }

  private func file(_ name: String, _ text: String) throws -> String {
    let path = directory.path + "/" + name
    try TextFile.write(text, to: path)
    return path
  }

  @Test("Names take the places of numbers, all else stays, counts go to standard error")
  func decode() throws {
    let result = try CommandResult.xive(
      "trace", "decode", file("text", Self.text + "\n"), "--maps", file("maps", Self.maps))
    #expect(result.exitCode == 0)
    var lines = Self.text.split(separator: "\n").map(String.init)
    lines[1] = lines[1].replacing("0x7fca4e523000", with: "esb:0x1:management")
    lines[2] = lines[2].replacing("1099511640064", with: "esb:0x1:management")
    #expect(result.output == lines)
    #expect(result.errors == ["xive: 4 lines, 2 events, 2 rewritten (ftrace 2)"])
  }

  @Test("Standard input and JSON")
  func json() throws {
    let result = try CommandResult.shell(
      "\"$1\" trace decode --json --page-size 64k <\"$2\"", Built.path("xive"),
      file("text", Self.text))
    let line = try #require(result.output.first)
    let object = try JSONDecoder().decode(DecodedObject.self, from: Data(line.utf8))
    #expect(result.output.count == 1)
    #expect(object.name == "esb:0x0:trigger+0x3000")
    #expect(object.line == 3 && object.tid == 2_415 && object.cpu == 1)
    #expect(object.offset == 1_099_511_640_064 && object.time == 32_536_769_555_000)
    #expect(result.errors.last?.hasPrefix("xive: addresses need mappings") == true)
  }

  @Test("Text of no tool, and files that are not there: one line and exit 1")
  func refusals() throws {
    let other = try file("other", "hello\n")
    for words in [
      [other], [directory.path + "/none"], [other, "--maps", directory.path + "/none"],
    ] {
      let result = try CommandResult([Built.path("xive"), "trace", "decode"] + words)
      #expect(result.exitCode == 1)
      #expect(result.errors.count == 1)
      #expect(result.errors.first?.hasPrefix("xive: ") == true)
    }
    #expect(try CommandResult.xive("trace", "decode", "--sources", "0").exitCode == 64)
  }
}

private struct DecodedObject: Decodable {
  let line: Int
  let name: String
  let offset: UInt64
  let tid: UInt32
  let cpu: UInt32
  let time: UInt64
}
