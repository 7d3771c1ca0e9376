internal import ArgumentParser
internal import SystemPackage
internal import XIVEHarness

/// `xive hotplug consume`: a consumer process of a scenario.
struct HotplugConsumeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "consume",
    abstract: "Map a device's pages and read their signatures (a part of a scenario).",
    shouldDisplay: false)

  @Argument(help: "The device file.") var path: String
  @Argument(help: "The file of what is true, and what was seen.") var board: String
  @Option var firstSlot: UInt32
  @Option var threads: Int
  @Option(transform: consumerAccess) var access: ConsumerAccess
  @Flag var perPage = false
  @Flag var store = false
  @Flag var hugePages = false
  @Option var guest: UInt64?

  func run() throws {
    var plan = ConsumerPlan()
    plan.threads = threads
    plan.access = access
    plan.isPerPage = perPage
    plan.stores = store
    plan.wantsHugePages = hugePages
    plan.guestTriggers = guest
    try reporting {
      let consumer = try WatchingConsumer(path, board: board, firstSlot: firstSlot, plan)
      sayLine("ready")
      while let line = readLine() {
        if line == "end" {
          guard consumer.join() else { throw Exit.failed }
          return
        }
        try consumer.obey(line)
        sayLine("done")
      }
      // The harness has gone without a word to the watchers: they end with this process.
    }
  }
}

/// Prints one line that somebody waits for.
func sayLine(_ line: String) {
  print(line)
  flushOutput()
}
