import Testing
import XIVEModel

import XIVETestSupport

@testable import XIVETrace

/// Lines in the forms that the tools' sources document, one variant each.
@Suite("Text of other tools", .hangGuard)
struct TextDecoderTests {
  private static let map = DeviceMap(pageShift: 12, sourceCount: 8_192, serverCount: 64)
  private static let maps = """
    5563e8380000-5563e83b5000 r-xp 00004000 fe:00 16362782                   /usr/bin/consumer
    7fca4e400000-7fca4e420000 rw-s 00000000 00:27 1                          /tmp/device
    7fca4e520000-7fca4e620000 rw-s 10000000000 00:27 1                       /tmp/device
    """

  private static func decode(_ lines: String..., path: String? = nil, maps: String? = maps)
    -> (lines: [TextDecoder.Line?], tally: TextDecoder.Tally)
  {
    var decoder = TextDecoder(map: map, path: path, maps: maps)
    let decoded = lines.map { decoder.decode(Array($0.utf8)[...]) }
    return (decoded, decoder.tally)
  }

  private static func text(_ line: String, path: String? = nil, maps: String? = maps) -> String? {
    decode(line, path: path, maps: maps).lines[0].map { String(decoding: $0.bytes, as: UTF8.self) }
  }

  /// A line and what becomes of it.
  struct Sample: CustomTestStringConvertible, Sendable {
    let before: String
    let after: String
    var testDescription: String { before }

    init(_ before: String, _ number: String, _ name: String) {
      self.before = before
      after = before.replacingFirst(number, by: name)
    }
  }

  static let samples: [Sample] = [
    // perf script, tracepoints: with processor, with PID/TID, with a comm of two words, without a processor.
    Sample(
      """
          TestConsumer  2377 [001] 32534.441412: exceptions:page_fault_user: \
      address=0x7fca4e523000 ip=0x55cd84475610 error_code=0x4
      """,
      "0x7fca4e523000", "esb:0x1:management"),
    Sample(
      """
      CPU 0/KVM  2377/2380  [003] 32534.441412: exceptions:page_fault_user: \
      address=0x7fca4e523c08 ip=0x5563e8385610 error_code=0x7
      """,
      "0x7fca4e523c08", "esb:0x1:management+0xc08"),
    Sample(
      """
          TestConsumer  2377 [001] 32534.441420:   filemap:mm_filemap_fault: dev=0:39 ino=1 \
      ofs=1099511640064
      """,
      "1099511640064", "esb:0x1:management"),
    Sample(
      "a-b 2377 32534.441420123: filemap:mm_filemap_fault: dev 0:39 ino 1 ofs=1099511635968",
      "1099511635968", "esb:0x1:trigger"),
    Sample(
      """
          TestConsumer  2377 [001] K     32534.806382: exceptions:page_fault_kernel:  \
      address=0x7fca4e524000 ip=0xffffffff8130e259 error_code=0x0               0
      """,
      "0x7fca4e524000", "esb:0x2:trigger"),
    // perf script -F +addr, with and without the file of the address and flags.
    Sample(
      """
          TestConsumer  2558 32550.528290:          1 page-faults:     7fca4e523000 [unknown] \
      (/tmp/device)     55d4878ad610 guarded_load+0xc0 (/usr/bin/consumer)
      """,
      "7fca4e523000", "esb:0x1:management"),
    Sample(
      """
          TestConsumer  2558 U     32534.547339:          1               major-faults:u:       \
                            7fca4e525c00 [unknown] (/tmp/device)     55cd84475707 \
      guarded_store+0xb7
      """,
      "7fca4e525c00", "esb:0x2:management+0xc00"),
    Sample("qemu 1 1.5: minor-faults: 7fca4e525c00", "7fca4e525c00", "esb:0x2:management+0xc00"),
    // perf trace -F.
    Sample(
      """
         106.923 ( 0.000 ms): TestConsumer/2404 majfault [guarded_load+0xc0] => \
      /tmp/device@0x10000003000 (d.)
      """,
      "0x10000003000", "esb:0x1:management"),
    Sample(
      "   424.240 ( 0.003 ms): CPU 0/KVM/2404 minfault [0x7f10] => /tmp/device@0x10000003c00 (dk)",
      "0x10000003c00", "esb:0x1:management+0xc00"),
    Sample(
      "   477.348 ( 0.000 ms): sh/2401 minfault [__put_user_8+0xd] => 0x7fca4e523008 (?k)",
      "0x7fca4e523008", "esb:0x1:management+0x8"),
    // ftrace: five and four columns of flags, none, with the process, a comm with a hyphen and a blank.
    Sample(
      """
          TestConsumer-2415    [001] d.... 32536.769554: page_fault_user: \
      address=0x7fca4e523000 ip=0x5563e8385610 error_code=0x4
      """,
      "0x7fca4e523000", "esb:0x1:management"),
    Sample(
      """
         IO mon-thr-2415    (   2400) [000] d..1. 32536.821541: page_fault_user: \
      address=0x7fca4e523c00 ip=0x5563e8385707 error_code=0x7
      """,
      "0x7fca4e523c00", "esb:0x1:management+0xc00"),
    Sample(
      """
          TestConsumer-2415  [001] .... 32536.666037: mm_filemap_fault: dev 0:39 ino 1 \
      ofs=1099512217600
      """,
      "1099512217600", "esb:0x48:trigger"),
    Sample(
      """
                 <...>-2415    [001] ..... 32536.66603: mm_filemap_delete_from_page_cache: dev \
      0:39 ino 1 pfn=0x1c3f00 ofs=1099511627776 order=0
      """,
      "1099511627776", "esb:0x0:trigger"),
    // The kernel's window, other regions.
    Sample(
      "x-1 [001] ..... 1.000001: mm_filemap_fault: dev=0:39 ino=1 ofs=20480", "ofs=20480",
      "ofs=kernel:0x0:management"),
    Sample(
      "x-1 [001] ..... 1.000001: mm_filemap_fault: dev=0:39 ino=1 ofs=8192", "ofs=8192",
      "ofs=tima:os"),
    Sample(
      "x-1 [001] ..... 1.000001: mm_filemap_fault: dev=0:39 ino=1 ofs=20890720948224",
      "20890720948224", "phb:3:5"),
  ]

  @Test("A number becomes a name and the rest stays", arguments: samples)
  func rewriting(_ sample: Sample) { #expect(Self.text(sample.before) == sample.after) }

  static let others = [
    "",
    "# tracer: nop",
    "    TestConsumer-2415    [001] ..... 32536.666037: sched_switch: prev_comm=dev 0:39",
    // Another file, other memory, an instruction in front of which no address stands.
    "x-1 [001] ..... 1.000001: mm_filemap_fault: dev=254:0 ino=1 ofs=20480",
    "x-1 [001] ..... 1.000001: mm_filemap_fault: dev=0:39 ino=10 ofs=1099511640064",
    "x 1 1.5: page-faults:  5563e8385610 guarded_load+0xc0 (/usr/bin/consumer)",
    "x 1 1.5: exceptions:page_fault_user: address=0x7fca4e420000 ip=0x5563e8385610 error_code=0x4",
    "  1.0 ( 0.0 ms): x/1 minfault [a+0x1] => /usr/lib/libc.so.6@0x10000003000 (d.)",
    // Cut off, or no numbers.
    "x-1 [001] ..... 1.000001: mm_filemap_fault: dev=0:39 ino=1 ofs=",
    "x-1 [001] ..... 1.000001: mm_filemap_fault: dev=0:39 ino=",
    "x-1 [001] ..... 1.000001: page_fault_user: address=",
    "x-1 [001] ..... 1.000001: mm_filemap_fault: dev=0:39 ino=1 ofs=99999999999999999999999",
    "  1.0 ( 0.0 ms): x/1 minfault [a+0x1] => ",
    "x 1 1.5: page-faults:",
    // In the device, and no page of it.
    "x-1 [001] ..... 1.000001: mm_filemap_fault: dev=0:39 ino=1 ofs=4611686018427383808",
  ]

  @Test("Other lines stay", arguments: others)
  func unchanged(_ line: String) { #expect(Self.text(line) == nil) }

  @Test("A range of pages has two names")
  func range() {
    let line = "x-1 [0] 1.5: mm_filemap_map_pages: dev=0:39 ino=1 ofs=1099511627776-1099511635968"
    #expect(Self.text(line)?.hasSuffix(" ofs=esb:0x0:trigger-esb:0x1:trigger") == true)
  }

  @Test(
    "Who, where, when and what for come out of a line",
    arguments: [
      (
        """
        CPU 0/KVM  2377/2380  [003] 32534.441412: exceptions:page_fault_user: \
        address=0x7fca4e523c08 ip=0x1 error_code=0x7
        """,
        "CPU 0/KVM", 2_380, 3, 32_534_441_412_000, KernelFault.Access.write,
        "exceptions:page_fault_user"
      ),
      (
        """
           IO mon-thr-2415    (   2400) [000] d..1. 32536.821541: page_fault_user: \
        address=0x7fca4e523c00 ip=0x1 error_code=0x5
        """,
        "IO mon-thr", 2_415, 0, 32_536_821_541_000, .read, "page_fault_user"
      ),
      (
        "   424.240 ( 0.003 ms): CPU 0/KVM/2404 minfault [0x7f10] => /tmp/device@0x10000003c00 (dk)",
        "CPU 0/KVM", 2_404, nil, 424_240_000, .unknown, "minfault"
      ),
      (
        """
          TestConsumer  2558 U     32534.547339:          1               major-faults:u:    \
        7fca4e525c00 [unknown]
        """,
        "TestConsumer", 2_558, nil, 32_534_547_339_000, .unknown, "major-faults:u"
      ),
    ] as [(String, String, UInt32, UInt32?, UInt64, KernelFault.Access, String)])
  func headers(
    line: String, comm: String, thread: UInt32, processor: UInt32?, time: UInt64,
    access: KernelFault.Access, event: String
  ) throws {
    let found = try #require(Self.decode(line).lines[0])
    #expect(found.comm == comm)
    #expect(found.threadID == thread)
    #expect(found.processor == processor)
    #expect(found.time == time)
    #expect(found.access == access)
    #expect(found.event == event)
  }

  @Test("Mappings in the text are followed, each process's by itself")
  func mappings() {
    let found = Self.decode(
      """
      x 10 1.0: PERF_RECORD_MMAP2 10/10: [0x7f0000000000(0x100000) @ 0x10000000000 00:27 1 0]: \
      rw-s /tmp/a device
      """,
      """
      x 20 1.0: PERF_RECORD_MMAP2 20/20: [0x7f0000000000(0x100000) @ 0 00:27 1 0]: rw-s /tmp/a \
      device
      """,
      """
      x 30 1.0: PERF_RECORD_MMAP2 30/30: [0x7f0000000000(0x100000) @ 0x7f0000000000 00:00 0 0]: \
      rw-p //anon
      """,
      "x 10/11 1.0: exceptions:page_fault_user: address=0x7f0000003000 ip=0x1 error_code=0x4",
      "x 20 1.0: exceptions:page_fault_user: address=0x7f0000005000 ip=0x1 error_code=0x4",
      "x 30 1.0: exceptions:page_fault_user: address=0x7f0000005000 ip=0x1 error_code=0x4",
      """
      x 10 1.0: PERF_RECORD_MMAP2 10/10: [0x7f0000002000(0x2000) @ 0x130000000000 00:27 1 0]: \
      rw-s /tmp/a device
      """,
      "x 10 1.0: exceptions:page_fault_user: address=0x7f0000003000 ip=0x1 error_code=0x4",
      "x 12 1.0: exceptions:page_fault_user: address=0x7f0000003000 ip=0x1 error_code=0x4",
      maps: nil)
    #expect(
      found.lines.map { $0?.name } == [
        nil, nil, nil, "esb:0x1:management", "kernel:0x0:management", nil, nil, "phb:3:1", nil,
      ])
    #expect(found.tally.mappings == 3)
    #expect(found.tally.unmapped == 1)
  }

  @Test("A mapping that is known by its build number is the device by its path")
  func buildNumber() {
    let found = Self.decode(
      """
      x 10 1.0: PERF_RECORD_MMAP2 10/10: [0x7f0000000000(0x1000) @ 0x10000000000 <1d2f>]: rw-s \
      /tmp/device
      """,
      "x 10 1.0: page-faults: 7f0000000008 [unknown] (/tmp/device)", path: "/tmp/device", maps: nil)
    #expect(found.lines[1]?.name == "esb:0x0:trigger+0x8")
  }

  @Test("A device that is named is the only one; one that is not is found by its offsets")
  func naming() {
    let line = "  1.0 ( 0.0 ms): x/1 minfault [a+0x1] => /tmp/b@0x10000003000 (d.)"
    #expect(Self.decode(line, path: "/tmp/b", maps: nil).lines[0] != nil)
    #expect(Self.decode(line, path: "/tmp/c", maps: nil).lines[0] == nil)
    let other = line.replacingFirst("/tmp/b", by: "/tmp/c")
    let found = Self.decode(other, line, maps: nil)
    #expect(found.lines.map { $0 != nil } == [true, false])
    let anonymous = line.replacingFirst("/tmp/b", by: "//anon")
    #expect(Self.decode(anonymous, maps: nil).lines[0] == nil)
  }

  @Test("Everything is counted")
  func tally() {
    let tally = Self.decode(
      "# tracer: nop",
      "x-1 [001] ..... 1.000001: mm_filemap_fault: dev=0:39 ino=1 ofs=20480",
      "x-1 [001] ..... 1.000001: mm_filemap_fault: dev=0:39 ino=1 ofs=4611686018427383808",
      "x 1 1.5: exceptions:page_fault_user: address=0x1000 ip=0x1 error_code=0x4"
    ).tally
    #expect(tally.lines == 4)
    #expect(tally.events == [.ftrace: 2, .perfScript: 1])
    #expect(tally.rewritten == [.ftrace: 1])
    #expect(tally.holes == 1)
    #expect(tally.unmapped == 1)
    #expect(tally.mappings == 2)
  }

  @Test("Bytes that are no UTF-8 stay")
  func bytes() {
    var decoder = TextDecoder(map: Self.map, maps: Self.maps)
    let line = [0xff, 0xfe] + Array("-1 [0] 1.5: mm_filemap_fault: dev=0:39 ino=1 ofs=20480".utf8)
    let found = decoder.decode(line[...])
    #expect(
      found?.bytes == [0xff, 0xfe]
        + Array("-1 [0] 1.5: mm_filemap_fault: dev=0:39 ino=1 ofs=kernel:0x0:management".utf8))
  }
}

extension String {
  /// The text with the first place of another one replaced.
  fileprivate func replacingFirst(_ text: String, by new: String) -> String {
    guard let place = firstRange(of: text) else { return self }
    return replacingCharacters(in: place, with: new)
  }

  private func replacingCharacters(in place: Range<String.Index>, with new: String) -> String {
    self[..<place.lowerBound] + new + self[place.upperBound...]
  }
}
