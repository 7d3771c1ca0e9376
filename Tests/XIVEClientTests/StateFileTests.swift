import Foundation
import Glibc
import SystemPackage
import Testing
import XIVEClient
import XIVEModel
import XIVETestSupport

@Suite("Saved states in files")
struct StateFileTests {
  @Test("A file is written whole, for its owner alone, in place of what was there")
  func write() throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/state"
    try Data("before".utf8).write(to: URL(fileURLWithPath: path))
    #expect(unsafe chmod(path, 0o644) == 0)
    #expect(try StateSamples.small.write(to: path) == 244)
    let bytes = try [UInt8](Data(contentsOf: URL(fileURLWithPath: path)))
    #expect(bytes == StateSamples.small.fileBytes)
    #expect(try MachineState(contentsOf: path) == StateSamples.small)
    #expect(try mode(of: path) == 0o600)
    #expect(try names(in: directory.path) == ["state"], "nothing else is left")
  }

  @Test("A link is followed: the file behind it is replaced")
  func link() throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/state"
    let link = directory.path + "/link"
    try Data("before".utf8).write(to: URL(fileURLWithPath: path))
    #expect(unsafe symlink("state", link) == 0)
    try StateSamples.small.write(to: link)
    #expect(try FileManager.default.destinationOfSymbolicLink(atPath: link) == "state")
    #expect(try MachineState(contentsOf: path) == StateSamples.small)
  }

  @Test("A state that cannot be is not written, and what was there stays")
  func impossible() throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/state"
    try StateSamples.small.write(to: path)
    var state = StateSamples.small
    state.serverCount = 3
    let error = refusal { () throws(XIVEClientError) in try state.write(to: path) }
    let reason = "geometry: 3 servers, and room for 2: it was not written by xive save"
    #expect(error?.description == "\(path): cannot be: \(reason)")
    #expect(try MachineState(contentsOf: path) == StateSamples.small)
    #expect(try names(in: directory.path) == ["state"])
  }

  @Test("What a state cannot be written to is named with the reason")
  func unwritable() throws {
    let directory = try TemporaryDirectory()
    let fifo = directory.path + "/fifo"
    #expect(unsafe mkfifo(fifo, 0o600) == 0)
    let cases: [(String, Errno, String)] = [
      (directory.path, .isDirectory, "it is a directory"),
      (directory.path + "/none/state", .noSuchFileOrDirectory, "No such file or directory"),
      (fifo, .invalidArgument, "it is no regular file"),
      ("/dev/null", .invalidArgument, "it is no regular file"),
      ("/proc/state", .noSuchFileOrDirectory, "No such file or directory"),
    ]
    for (path, errno, reason) in cases {
      let error = refusal { () throws(XIVEClientError) in try StateSamples.small.write(to: path) }
      #expect(error == .stateFile(path, .writing(errno)))
      #expect(error?.description == "\(path): cannot be written: \(reason)")
    }
    #expect(try names(in: directory.path) == ["fifo"])
  }

  @Test(
    "A disk that fills up while a state is written leaves the old one",
    .enabled(if: Requirement.canMount))
  func full() throws {
    let directory = try TemporaryDirectory()
    let disk = try SmallDisk(directory.path + "/disk")
    let path = disk.path + "/state"
    try StateSamples.small.write(to: path)
    var state = StateSamples.small
    state.geometry = DeviceGeometry(
      sourceCount: 4_096, serverCount: 2, pageShift: 12, pagesPerSource: 2, supportsStoreEOI: false)
    state.sources = [SourceRecord](repeating: .absent, count: 4_096)
    let error = refusal { () throws(XIVEClientError) in try state.write(to: path) }
    #expect(error == .stateFile(path, .writing(.noSpace)))
    #expect(try MachineState(contentsOf: path) == StateSamples.small)
    #expect(try names(in: disk.path) == ["state"])
  }

  @Test("What a state cannot be read from is named with the reason")
  func unreadable() throws {
    let directory = try TemporaryDirectory()
    let fifo = directory.path + "/fifo"
    #expect(unsafe mkfifo(fifo, 0o600) == 0)
    let cases: [(String, Errno)] = [
      (directory.path, .isDirectory), (directory.path + "/none", .noSuchFileOrDirectory),
      (fifo, .invalidArgument), ("/dev/zero", .invalidArgument),
    ]
    for (path, errno) in cases {
      #expect(reading(path) == .stateFile(path, .reading(errno)))
    }
    #expect(reading("/proc/self/status") == .stateFile("/proc/self/status", .notAState))
    #expect(
      reading("/etc/passwd")?.description == "/etc/passwd: is no saved state: xive save makes one")
  }

  @Test("A file that is far too large is refused without being read")
  func huge() throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/state"
    try Data(StateSamples.small.fileBytes).write(to: URL(fileURLWithPath: path))
    #expect(unsafe truncate(path, 1 << 40) == 0)
    #expect(reading(path) == .stateFile(path, .length(expected: 244, found: 1 << 40)))
    let claim = StateSamples.small.fileBytes.setting(UInt64(1) << 40, at: 16)
    try Data(claim).write(to: URL(fileURLWithPath: path))
    #expect(unsafe truncate(path, 1 << 40) == 0)
    // 116, and 24 for each of 16,384 vCPUs, 40 for each of 131,072 ENDs, 16 for each of 1,048,576 sources.
    let largest: UInt64 = 22_413_428
    #expect(reading(path) == .stateFile(path, .length(expected: largest, found: 1 << 40)))
  }

  @Test(
    "A second reader, in Python, takes what this one writes and finds the same in it",
    .enabled(if: Requirement.has("python3", package: "python3")))
  func secondReader() throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/state"
    var random = Seed.generator(stream: 0x5ec0)
    for _ in 0..<10 {
      let state = StateSamples.random(&random)
      try state.write(to: path)
      let run = try SecondReader.run(path)
      #expect(run.code == 0, "\(Seed.comment): \(run.output)")
      let found = try JSONDecoder().decode(
        SecondReader.State.self, from: Data(run.output.joined().utf8))
      #expect(found == SecondReader.State(state), "\(Seed.comment)")
    }
    try Data(StateSamples.small.fileBytes.setting(UInt32(1), at: 52))
      .write(to: URL(fileURLWithPath: path))
    #expect(try SecondReader.run(path).output == ["read_state.py: \(path): reserved"])
  }

  private func reading(_ path: String) -> XIVEClientError? {
    do {
      _ = try MachineState(contentsOf: path)
      return nil
    } catch { return error }
  }

  private func names(in directory: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: directory).sorted()
  }

  private func mode(of path: String) throws -> Int {
    let attributes = try FileManager.default.attributesOfItem(atPath: path)
    return try #require(attributes[.posixPermissions] as? Int)
  }
}

/// A file system of 16 KiB, unmounted with its owner.
private struct SmallDisk: ~Copyable {
  let path: String

  init(_ path: String) throws {
    self.path = path
    let script = "mkdir \"$1\"; mount -t tmpfs -o size=16k none \"$1\""
    let mount = try CommandResult.shell(script, path)
    guard mount.exitCode == 0 else { throw SupportFailure("no small disk: \(mount.errors)") }
  }

  deinit { _ = try? CommandResult.shell("umount \"$1\"; rmdir \"$1\"", path) }
}

/// `tools/state/read_state.py`, and what it says.
enum SecondReader {
  static func run(_ path: String) throws -> (code: Int32?, output: [String]) {
    try XIVEClientTests.run(Built.sourceRoot + "/tools/state/read_state.py", [path])
  }

  struct State: Decodable, Equatable {
    struct Geometry: Decodable, Equatable {
      let sources, pageShift, esbPages: UInt32
      let storeEOI: Bool
      let maxVCPUs: UInt32
    }
    struct VP: Decodable, Equatable {
      let server: UInt32
      let ring: String
    }
    struct End: Decodable, Equatable {
      let index: UInt32
      let words: [UInt32]
    }
    let geometry: Geometry
    let servers: UInt32
    let vcpus: [VP]
    let ends: [End]
    let sources: [String: [UInt64]]

    /// What it should say of a state.
    init(_ state: MachineState) {
      let own = state.geometry
      geometry = Geometry(
        sources: own.sourceCount, pageShift: own.pageShift, esbPages: own.pagesPerSource,
        storeEOI: own.supportsStoreEOI, maxVCPUs: own.serverCount)
      servers = state.serverCount
      vcpus = state.vps.map { vp in
        let digits = String(vp.w01, radix: 16)
        let zeros = String(repeating: "0", count: 16 - digits.count)
        return VP(server: vp.server.rawValue, ring: zeros + digits)
      }
      ends = state.ends.map { record in
        let end = record.end
        return End(
          index: record.index.rawValue,
          words: [end.w0, end.w1, end.w2, end.w3, end.w4, end.w5, end.w6, end.w7])
      }
      let created = state.sources.enumerated().filter { $0.element != .absent }
      sources = Dictionary(
        uniqueKeysWithValues: created.map {
          ("\($0.offset)", [$0.element.configuration, $0.element.flags])
        })
    }
  }
}
