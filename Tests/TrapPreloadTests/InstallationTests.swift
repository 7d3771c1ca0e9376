import FoundationEssentials
import Testing
import XIVETestSupport

@Suite("Installation of the library", .enabled(if: TrapLibrary.canBuild), .hangGuard)
struct InstallationTests {
  private static let setup = Built.sourceRoot + "/tools/setup"
  private static let files = [
    "lib/libxive-trap.so.0", "lib/libxive-trap.so", "include/xive.h", "include/xive_trap.h",
    "lib/pkgconfig/xive-trap.pc",
  ]

  @Test(
    "A program compiled with pkg-config has windows, linked or preloaded",
    .enabled(if: Requirement.has("pkg-config", package: "pkg-config")))
  func installs() throws {
    let directory = try TemporaryDirectory()
    let prefix = directory.path + "/prefix"
    let installed = try CommandResult([Self.setup, "--install", prefix])
    #expect(installed.exitCode == 0, "\(installed.errors)")
    #expect(installed.output == Self.files.map { "\(prefix)/\($0)" })
    let served = try ServedDevice(["--sources", "64", "--create", "0-63"])
    // Nothing but what has been installed, and the test's own source.
    let script = """
      export PKG_CONFIG_PATH=$1/lib/pkgconfig LD_LIBRARY_PATH=$1/lib
      flags=$(pkg-config --cflags --libs xive-trap)
      cd "$1"
      cc -std=gnu11 -o interface "$2/Tests/TrapPreloadTests/interface.c" $flags
      cc -std=gnu11 -o consumer "$2/tools/examples/consumer.c" $(pkg-config --cflags xive-trap)
      XIVE_TRAP=tima ./interface "$3"
      LD_PRELOAD=libxive-trap.so.0 ./consumer "$3" 16 | grep '^esb window: trapped'
      pkg-config --modversion xive-trap
      """
    let run = try CommandResult.shell(script, prefix, Built.sourceRoot, served.path)
    #expect(run.exitCode == 0, "\(run.errors)")
    #expect(
      run.output == [
        "version 0.1.0", "all as expected",
        "esb window: trapped, each load and store is one exact operation", "0.1.0",
      ])
  }

  @Test(
    "A package's builder has it below DESTDIR, and the file for pkg-config knows of the prefix alone"
  )
  func destination() throws {
    let directory = try TemporaryDirectory()
    let place = directory.path + "/image"
    let installed = try CommandResult([
      "env", "DESTDIR=\(place)", Self.setup, "--install", "/opt/x",
    ])
    #expect(installed.exitCode == 0, "\(installed.errors)")
    #expect(installed.output == Self.files.map { "\(place)/opt/x/\($0)" })
    let description = try String(
      contentsOfFile: place + "/opt/x/lib/pkgconfig/xive-trap.pc", encoding: .utf8)
    #expect(description.hasPrefix("prefix=/opt/x\n"))
    #expect(!description.contains(place))
  }

  @Test(
    "Words that it does not know are usage",
    arguments: [
      ["--install"], ["--install", "here"], ["--install", ""], ["install"],
      ["--install", "/a", "b"],
    ])
  func usage(_ words: [String]) throws {
    let refused = try CommandResult([Self.setup] + words)
    #expect(refused.exitCode == 64)
    #expect(refused.output == [] && refused.errors.count >= 1)
  }

  @Test("It tells how it is used")
  func help() throws {
    let help = try CommandResult([Self.setup, "--help"])
    #expect(help.exitCode == 0)
    #expect(help.output.contains { $0.contains("--install PREFIX") })
  }

  @Test(
    "The header can be included, twice, by C11 and C++17",
    arguments: ["cc -std=c11", "cc -std=gnu17", "c++ -std=c++17", "clang -std=c11"])
  func header(_ compiler: String) throws {
    let words = compiler.split(separator: " ").map(String.init)
    guard Requirement.path(of: words[0]) != nil else { return }
    let language = words[0] == "c++" ? "c++" : "c"
    let script = """
      printf '#include "xive_trap.h"\\n#include "xive_trap.h"\\nint main(void) { return 0; }\\n' |
        \(compiler) -pedantic -Wall -Wextra -Werror -fsyntax-only -x \(language) -I"$1" -
      """
    let checked = try CommandResult.shell(
      script, Built.sourceRoot + "/Sources/CTrapPreload/include")
    #expect(checked.exitCode == 0, "\(checked.errors)")
  }
}
