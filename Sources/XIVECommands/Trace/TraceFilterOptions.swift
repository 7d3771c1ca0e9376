internal import ArgumentParser
internal import XIVETrace

/// Which events are wanted: every option that is given must admit an event; of its values one is enough.
struct TraceFilterOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Kinds: fill, exact, zap, map, eoi, ...", valueName: "kinds"))
  var kind: [String] = []
  @Option(help: ArgumentHelp("Sources: 17,0x1300-0x133f.", valueName: "numbers"))
  var lisn: [String] = []
  @Option(help: ArgumentHelp("Regions: kernel, esb, end, tima, phb, phb:3.", valueName: "names"))
  var region: [String] = []
  @Option(help: ArgumentHelp("Processes.", valueName: "ids")) var pid: [String] = []
  @Option(help: ArgumentHelp("Threads.", valueName: "ids")) var tid: [String] = []
  @Option(help: ArgumentHelp("Threads of this name.", valueName: "name")) var comm: [String] = []
  @Option(
    help: ArgumentHelp(
      "Results: ok, failed, sigbus, EINVAL, not-created, ...", valueName: "results"))
  var result: [String] = []
  @Option(
    help: ArgumentHelp("Events that took so long at least: 20us, 1.5ms.", valueName: "time"))
  var minTime: String?

  /// What they admit.
  /// - Throws: `ValidationError` with the value that cannot be read.
  func filter() throws -> TraceFilter {
    do throws(TraceFilter.Failure) {
      var filter = TraceFilter()
      for text in kind { try filter.addKinds(text) }
      for text in lisn { try filter.addSources(text) }
      for text in region { try filter.addRegions(text) }
      for text in pid { try filter.addProcesses(text) }
      for text in tid { try filter.addThreads(text) }
      for text in comm { try filter.addCommand(text) }
      for text in result { try filter.addResults(text) }
      if let minTime { try filter.setMinimumTime(minTime) }
      return filter
    } catch { throw ValidationError("\(error)") }
  }

  func validate() throws { _ = try filter() }
}
