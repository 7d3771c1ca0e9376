internal import ArgumentParser
internal import XIVEHarness

/// How scenarios are run, as options.
struct HotplugOptions: ParsableArguments {
  @Option(help: "What all random numbers depend on; a random one when not given.")
  var seed: UInt64?

  @Option(
    name: .customLong("repeat"),
    help: "How often each scenario runs, with one seed after the other.")
  var repetitions: Int = 1

  @Option(help: "Cycles of each scenario; as many as it finds enough when not given.")
  var cycles: Int?

  @Option(help: "Consumer processes, 1 to 16.")
  var consumers: Int = 2

  @Option(help: "Threads that read signatures in each consumer, 1 to 8.")
  var threads: Int = 2

  @Option(
    help: ArgumentHelp(
      "What a consumer's touch is: a look at a mapped page's signature, or an exact load through a trapped window.",
      valueName: "mapped|trapped|both"),
    transform: consumerAccess)
  var access: ConsumerAccess = .mapped

  @Option(
    help: ArgumentHelp(
      "How long the cycles of each scenario go on, such as 30, 30s, 5m or 1h.", valueName: "time"))
  var duration: HotplugDuration?

  @Option(
    help: ArgumentHelp(
      "Keep the trace of each scenario in this directory, for xive trace; without it only a failed one's last records.",
      valueName: "directory"))
  var trace: String?

  @Option(
    help: .hidden,
    transform: { text in
      guard let mistake = Sabotage(rawValue: text) else {
        let words = Sabotage.allCases.map(\.rawValue).joined(separator: " or ")
        throw ValidationError("--sabotage '\(text)': write \(words)")
      }
      return mistake
    })
  var sabotage: Sabotage?

  @Option(help: .hidden)
  var consumerProgram: String?

  @Option(help: .hidden)
  var patience: Int = 30

  func validate() throws {
    try require("--repeat", repetitions, 1...1_000_000)
    try require("--consumers", consumers, 1...16)
    try require("--threads", threads, 1...8)
    try require("--patience", patience, 1...3_600)
    if let cycles { try require("--cycles", cycles, 1...1_000_000_000) }
  }

  private func require(_ name: String, _ value: Int, _ range: ClosedRange<Int>) throws {
    guard range.contains(value) else {
      throw ValidationError(
        "\(name): \(value) is out of range: \(range.lowerBound) to \(range.upperBound)")
    }
  }

  /// The same in the harness's terms.
  var harnessOptions: HarnessOptions {
    var options = HarnessOptions(seed: seed ?? UInt64.random(in: 0...UInt64(UInt32.max)))
    options.repetitions = repetitions
    options.cycles = cycles
    options.consumers = consumers
    options.threads = threads
    options.access = access
    options.seconds = duration?.seconds
    options.sabotage = sabotage
    options.traceDirectory = trace
    options.patience = patience
    if let consumerProgram { options.consumerProgram = consumerProgram }
    return options
  }
}

/// Reads the word for what consumers' touches are.
func consumerAccess(_ text: String) throws -> ConsumerAccess {
  guard let access = ConsumerAccess(rawValue: text) else {
    let words = ConsumerAccess.allCases.map(\.rawValue).joined(separator: " or ")
    throw ValidationError("--access '\(text)': write \(words)")
  }
  return access
}

/// A time on the command line: a number of seconds, or of what its last letter says.
struct HotplugDuration: ExpressibleByArgument {
  let seconds: Int

  private static let units: [Character: Int] = ["s": 1, "m": 60, "h": 3_600]

  init?(argument: String) {
    let unit = argument.last.flatMap { Self.units[$0] }
    guard let number = Int(unit == nil ? argument : String(argument.dropLast())),
      (1...1_000_000).contains(number)
    else { return nil }
    seconds = number * (unit ?? 1)
  }
}
