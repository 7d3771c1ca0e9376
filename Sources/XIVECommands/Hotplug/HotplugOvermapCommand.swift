internal import ArgumentParser
internal import XIVEClient
internal import XIVEHarness
internal import XIVEModel

/// `xive hotplug overmap`: a consumer process of a scenario that maps devices over its window itself.
struct HotplugOvermapCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "overmap",
    abstract: "Map a window, and devices over it (a part of a scenario).", shouldDisplay: false)

  @Argument(help: "The device file.") var path: String
  @Option var sources: UInt32
  @Option var threads: Int
  @Flag var kernelWindow = false
  @Flag var trapped = false

  func run() throws {
    try reporting {
      let consumer = try OvermappingConsumer(
        try XIVEDescriptor(path), LISN(rawValue: 0)..<LISN(rawValue: sources),
        in: kernelWindow ? .kernel : .esb, isTrapped: trapped, threadCount: threads)
      sayLine("ready")
      while let line = readLine() {
        if line == "end" {
          let (reads, mistake) = consumer.end()
          sayLine(mistake ?? "\(reads)")
          return
        }
        sayLine(consumer.obey(line))
      }
    }
  }
}
