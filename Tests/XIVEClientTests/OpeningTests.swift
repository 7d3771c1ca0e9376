import DeviceClient
import Foundation
import Glibc
import SystemPackage
import Testing
import XIVEClient
import XIVEModel
import XIVETestSupport

@Suite("Opening a device", .enabled(if: Requirement.canMount), .hangGuard)
struct OpeningTests {
  @Test("The geometry is the server's", arguments: [(12, "4k"), (16, "64k")], [1, 2])
  func geometry(page: (shift: UInt32, name: String), pagesPerSource: UInt32) throws {
    let served = try ServedDevice([
      "--sources", "48", "--max-vcpus", "3", "--store-eoi", "--page-size", page.name,
      "--esb-pages", "\(pagesPerSource)",
    ])
    let device = try XIVEDescriptor(served.path)
    #expect(device.geometry.sourceCount == 48)
    #expect(device.geometry.serverCount == 3)
    #expect(device.geometry.pageShift == page.shift)
    #expect(device.geometry.pagesPerSource == pagesPerSource)
    #expect(device.geometry.supportsStoreEOI)
    let pageByteCount = device.device.pageByteCount
    #expect(pageByteCount == 1 << Int(page.shift))
    #expect(device.map.pageByteCount == 1 << page.shift)
  }

  @Test("A path that is not there is named, with the reason")
  func missing() {
    let error = refusal { () throws(XIVEClientError) in try XIVEDescriptor("/nonexistent/device") }
    #expect(error == .device(.open("/nonexistent/device", .noSuchFileOrDirectory)))
    #expect(
      error?.description == "/nonexistent/device: cannot be opened: No such file or directory")
  }

  @Test("A directory cannot be opened")
  func directory() throws {
    let directory = try TemporaryDirectory()
    let path = directory.path
    let error = refusal { () throws(XIVEClientError) in try XIVEDescriptor(path) }
    #expect(error == .device(.notAFile(path)))
  }

  @Test("A FIFO is refused, not waited for")
  func fifo() throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/fifo"
    #expect(unsafe mkfifo(path, 0o600) == 0)
    let error = refusal { () throws(XIVEClientError) in try XIVEDescriptor(path) }
    #expect(error == .device(.notAFile(path)))
  }

  @Test("A plain file is no device, and says how to get one", arguments: [true, false])
  func plainFile(isWritable: Bool) throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/plain"
    try "not a device".write(toFile: path, atomically: false, encoding: .utf8)
    let error = refusal { () throws(XIVEClientError) in
      try XIVEDescriptor(path, isWritable: isWritable)
    }
    #expect(error == .notXIVE(path))
    #expect(error?.errno == .inappropriateIOCTLForDevice)
    #expect(error?.description.contains("xive serve \(path)") == true)
    #expect(try descriptorCount(of: path) == 0)
    #expect(try String(contentsOfFile: path, encoding: .utf8) == "not a device")
  }

  @Test("Another device file is no XIVE device")
  func otherDevice() throws {
    let served = try ServedDevice(program: [Built.path("doorbell")])
    let path = served.path
    #expect(refusal { () throws(XIVEClientError) in try XIVEDescriptor(path) } == .notXIVE(path))
    let doorbell = try DeviceDescriptor(path)
    try doorbell.store(0, at: 0)
    #expect(try doorbell.load(at: 4_096) == 1)
    #expect(try doorbell.segments() == [0..<8_192])
  }

  @Test("The file of a server that has been killed cannot be opened, and what is open says so")
  func deadServer() throws {
    var served = try ServedDevice(["--create", "0"])
    let path = served.path
    let device = try XIVEDescriptor(path)
    served.signal(SIGKILL)
    #expect(served.exitCode() == 128 + SIGKILL)
    #expect(
      refusal { () throws(XIVEClientError) in try XIVEDescriptor(path) }
        == .device(.open(path, .socketNotConnected)))
    let offset = device.map.offset(of: .esb(0, .management)) + 0x800
    #expect(
      refusal { () throws(XIVEClientError) in try device.pq(of: 0) }
        == .device(.access(offset: offset, .socketNotConnected)))
    #expect(
      refusal { () throws(XIVEClientError) in try device.segments() }
        == .device(.segments(after: 0, .socketNotConnected)))
    let error = refusal { () throws(XIVEClientError) in try device.counters() }
    #expect(error?.errno == .socketNotConnected)
  }

  @Test("A descriptor is closed when its owner goes")
  func closes() throws {
    let served = try ServedDevice()
    func open() throws -> Int {
      let device = try XIVEDescriptor(served.path)
      defer { withExtendedLifetime(device) {} }
      return try descriptorCount(of: served.path)
    }
    #expect(try open() == 1)
    #expect(try descriptorCount(of: served.path) == 0)
  }
}

@Suite("A file that is no device", .hangGuard)
struct PlainFileTests {
  @Test("A load at the end of a file is an error, not a zero")
  func shortLoad() throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/empty"
    try "".write(toFile: path, atomically: false, encoding: .utf8)
    let file = try DeviceDescriptor(path)
    #expect(throws: DeviceClientError.access(offset: 0, .ioError)) { try file.load(at: 0) }
    #expect(throws: DeviceClientError.access(offset: 1 << 40, .ioError)) {
      try file.load(at: 1 << 40)
    }
  }
}
