import Foundation
import Glibc
import SystemCalls
import Testing
import XIVETestSupport

/// A compiler that a C program's author may have.
struct Compiler: CustomTestStringConvertible, Sendable {
  /// Its name for C; the other is the one for C++.
  let name: String
  let nameForCPlusPlus: String
  var testDescription: String { name }

  static let all = [
    Compiler(name: "cc", nameForCPlusPlus: "c++"), Compiler(name: "gcc", nameForCPlusPlus: "g++"),
    Compiler(name: "clang", nameForCPlusPlus: "clang++"),
  ].filter { Requirement.path(of: $0.name) != nil }

  private static let strict = ["-Wall", "-Wextra", "-Werror", "-I", include]
  private static let include = Built.sourceRoot + "/Sources/CXIVE/include"

  /// Compiles a C program with nothing but the headers.
  /// - Returns: what the compiler complains about.
  func compile(_ source: String, to program: String, _ more: [String] = []) throws -> [String] {
    try complaints(
      name, ["-std=c11", "-o", program, Built.sourceRoot + "/" + source] + more)
  }

  /// Compiles a C program as C, or as C++ with `-xc++`.
  func compile(_ source: String, to program: String, language: String) throws -> [String] {
    let path = Built.sourceRoot + "/" + source
    return language == "-xc++"
      ? try complaints(nameForCPlusPlus, ["-std=c++17", language, "-o", program, path])
      : try compile(source, to: program)
  }

  /// Links with the client library of this build.
  static let client = ["-L", Built.directory, "-lxive-client", "-Wl,-rpath,\(Built.directory)"]

  /// Whether a plain C program can use the library: one that was built for a sanitizer needs its runtime.
  static let canLink: Bool = {
    let library = URL(fileURLWithPath: Built.directory + "/libxive-client.so")
    guard let bytes = try? Data(contentsOf: library) else { return true }
    return ["__tsan_init", "__asan_init"].allSatisfy { bytes.range(of: Data($0.utf8)) == nil }
  }()

  /// Only looks whether a header can be included.
  func check(_ header: String, _ standard: String, in directory: String) throws -> [String] {
    let isC = !standard.hasSuffix("++17")
    let source = directory + (isC ? "/check.c" : "/check.cpp")
    try "#include \"\(header)\"\n#include \"\(header)\"\nint main(void) { return 0; }\n"
      .write(toFile: source, atomically: false, encoding: .utf8)
    return try complaints(
      isC ? name : nameForCPlusPlus, ["-std=\(standard)", "-pedantic", "-fsyntax-only", source])
  }

  private func complaints(_ program: String, _ arguments: [String]) throws -> [String] {
    guard let path = Requirement.path(of: program) else { return [] }
    // The warnings first: a library must stand behind the file that needs it.
    let (code, output) = try run(path, Self.strict + arguments)
    return code == 0 ? output : output + ["exit code \(code.map { "\($0)" } ?? "none")"]
  }
}

@Suite(
  "C interface", .enabled(if: Requirement.canMount && Requirement.has("cc", package: "gcc")),
  .hangGuard)
struct CInterfaceTests {
  @Test("The headers can be included, twice, by C11 and C++17", arguments: Compiler.all)
  func headers(_ compiler: Compiler) throws {
    let directory = try TemporaryDirectory()
    for header in ["xive.h", "xive_client.h"] {
      for standard in ["c11", "gnu11", "c17", "c++17", "gnu++17"] {
        let complaints = try compiler.check(header, standard, in: directory.path)
        #expect(complaints == [], "\(header) as \(standard)")
      }
    }
  }

  @Test(
    "Every function of the client library, and every refusal", .enabled(if: Compiler.canLink),
    arguments: Compiler.all)
  func interface(_ compiler: Compiler) throws {
    let directory = try TemporaryDirectory()
    let program = directory.path + "/interface"
    let plain = directory.path + "/plain"
    try "not a device".write(toFile: plain, atomically: false, encoding: .utf8)
    #expect(
      try compiler.compile("Tests/XIVEClientTests/interface.c", to: program, Compiler.client) == [])
    let served = try ServedDevice(["--sources", "32"])
    // For the user that may not open the device, to get as far as that.
    let folder = served.path.split(separator: "/").dropLast().reduce("") { $0 + "/" + $1 }
    try #require(unsafe chmod(folder, 0o711) == 0)
    let (code, output) = try run(program, [served.path, plain])
    #expect(output == ["all as expected"])
    #expect(code == 0)
  }

  /// Compiles a C program of the tests and runs it on a device.
  private func expectContent(
    _ compiler: Compiler, _ name: String, _ options: [String], _ location: SourceLocation
  ) throws {
    let directory = try TemporaryDirectory()
    let program = directory.path + "/program"
    let source = "Tests/XIVEClientTests/\(name)"
    #expect(
      try compiler.compile(source, to: program, Compiler.client) == [], sourceLocation: location)
    let served = try ServedDevice(options)
    let (code, output) = try run(program, [served.path])
    #expect(output == ["all as expected"], sourceLocation: location)
    #expect(code == 0, sourceLocation: location)
  }

  @Test(
    "Every function for PHBs, passthrough and windows, and every refusal",
    .enabled(if: Compiler.canLink), arguments: Compiler.all)
  func passthrough(_ compiler: Compiler) throws {
    let options = ["--sources", "64", "--create", "0-31"]
    try expectContent(compiler, "passthrough.c", options, #_sourceLocation)
  }

  @Test(
    "Every function for guest memory, queues, routes and vCPUs, and every refusal",
    .enabled(if: Compiler.canLink), arguments: Compiler.all)
  func delivery(_ compiler: Compiler) throws {
    let options = ["--sources", "32", "--create", "0-31", "--max-vcpus", "4"]
    try expectContent(compiler, "delivery.c", options, #_sourceLocation)
  }

  @Test(
    "Every function for a machine's set-up and state, and every refusal",
    .enabled(if: Compiler.canLink), arguments: Compiler.all)
  func machine(_ compiler: Compiler) throws {
    let options = ["--sources", "64", "--create", "0-31", "--max-vcpus", "4"]
    try expectContent(compiler, "machine.c", options, #_sourceLocation)
  }

  @Test(
    "Every function for irqfds, lines and messages, and every refusal",
    .enabled(if: Compiler.canLink), arguments: Compiler.all)
  func injection(_ compiler: Compiler) throws {
    let options = ["--sources", "64", "--create", "0-31", "--phb", "2:8"]
    try expectContent(compiler, "injection.c", options, #_sourceLocation)
  }

  @Test(
    "A window is never seen with a hole, survives forks, and is plugged whole or not at all at the limit",
    .enabled(if: Compiler.canLink && fewMappings))
  func window() throws {
    let options = ["--sources", "128", "--create", "0-63", "--phb", "0:64", "--phb", "1:60:4"]
    try expectContent(Compiler.all[0], "window.c", options, #_sourceLocation)
  }

  @Test(
    "A trapped window operates on what it shows and nothing else: plugged in one step, no stray touch after the answer",
    .enabled(if: Compiler.canLink && Requirement.canTrap && fewMappings))
  func trapped() throws {
    let options = ["--sources", "128", "--create", "0-63", "--phb", "0:64", "--phb", "1:60:4"]
    try expectContent(Compiler.all[0], "trapped.c", options, #_sourceLocation)
  }

  @Test(
    "Each thread's trapped TIMA window acts on its own vCPU: views, sizes, and no interrupt lost or taken by another",
    .enabled(if: Compiler.canLink && Requirement.canTrap))
  func vcpus() throws {
    let options = ["--sources", "64", "--create", "0-63", "--max-vcpus", "4"]
    try expectContent(Compiler.all[0], "vcpus.c", options, #_sourceLocation)
  }

  /// Whether a program can reach the limit of mappings in little time.
  private static let fewMappings = {
    let text = try? String(contentsOfFile: "/proc/sys/vm/max_map_count", encoding: .utf8)
    let limit = text.flatMap { Int($0.dropLast()) } ?? .max
    return Requirement.check(limit <= 1_048_576, "vm.max_map_count is \(limit): set it to 65530")
  }()

  @Test(
    "The example of the client library runs", .enabled(if: Compiler.canLink),
    arguments: Compiler.all)
  func example(_ compiler: Compiler) throws {
    let directory = try TemporaryDirectory()
    let program = directory.path + "/client"
    #expect(try compiler.compile("tools/examples/client.c", to: program, Compiler.client) == [])
    let served = try ServedDevice(["--sources", "32"])
    let (code, output) = try run(program, [served.path])
    #expect(code == 0)
    #expect(
      output == [
        "32 sources, pages of 4096 bytes", "PQ after two triggers: 3", "mapped, PQ: 3",
        "end of interrupt: the queued event was forwarded",
      ])
    let refused = try run(program, [served.path, "32"])
    #expect(refused.code == 1)
    #expect(
      refused.output.contains("client: LISN 0x20: this device has 32 sources, numbered from 0"))
    #expect(try run(program, []).code == 64)
  }

  private static let geometries = ["4k", "64k"].flatMap { size in ["2", "1"].map { (size, $0) } }

  @Test(
    "The consumer without a library is content in every geometry", arguments: Compiler.all,
    geometries)
  func consumer(_ compiler: Compiler, _ geometry: (pageSize: String, pages: String)) throws {
    let directory = try TemporaryDirectory()
    let program = directory.path + "/consumer"
    #expect(try compiler.compile("tools/examples/consumer.c", to: program) == [])
    let served = try ServedDevice([
      "--sources", "64", "--create", "16-20", "--page-size", geometry.pageSize, "--esb-pages",
      geometry.pages,
    ])
    for arguments in [[], ["20"], ["17", "--hole", "21"], ["--hole", "63"]] {
      let (code, output) = try run(program, [served.path] + arguments)
      #expect(code == 0, "\(arguments): \(output.joined(separator: "\n"))")
      #expect(!output.contains { $0.contains("FAILED") })
    }
    // It finds fault where there is some: what is no hole, a source that is not there, a wrong word.
    #expect(try run(program, [served.path, "16", "--hole", "18"]).code == 1)
    #expect(try run(program, [served.path, "40"]).code == 1)
    #expect(try run(program, [served.path, "64"]).code == 64)
    #expect(try run(program, ["/nonexistent"]).code == 1)
  }

  @Test(
    "The vCPU without a library takes its interrupts in every geometry", arguments: Compiler.all,
    geometries)
  func vcpu(_ compiler: Compiler, _ geometry: (pageSize: String, pages: String)) throws {
    let directory = try TemporaryDirectory()
    let program = directory.path + "/vcpu"
    #expect(try compiler.compile("tools/examples/vcpu.c", to: program) == [])
    let served = try ServedDevice([
      "--page-size", geometry.pageSize, "--esb-pages", geometry.pages, "--max-vcpus", "8",
    ])
    for arguments in [["7"], ["3", "0x20"]] {
      let (code, output) = try run(program, [served.path] + arguments)
      #expect(code == 0, "\(arguments): \(output.joined(separator: "\n"))")
      #expect(output.last == "all as expected")
    }
    let refused = try run(program, [served.path, "8"])
    #expect(refused.code == 1)
    #expect(refused.output == ["vcpu: KVM_ENABLE_CAP: Invalid argument"])
    #expect(try run(program, [served.path, "-"]).code == 64)
    #expect(try run(program, []).code == 64)
  }
}
