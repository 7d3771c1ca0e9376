internal import TraceRecords

/// Everything that a report shows, counted in one pass; nothing of it grows with the number of records but the
/// figures of pages and latencies.
struct ReportAnalysis: Sendable {
  let device: TracedDevice
  let span: ReportSpan
  let totals: ReportTotals
  let pages: ReportPages
  let areas: ReportAreas
  let timeline: ReportTimeline
  let latencies: [ReportLatency]
  let consumers: ReportConsumers
  let slowest: [TraceRecord]
  let events: ReportEvents

  init(_ trace: Trace) {
    let map = trace.device.map
    var totals = ReportTotals()
    var pages = ReportPages()
    let span = ReportSpan(trace.records)
    var timeline = ReportTimeline(span)
    var latencies = ReportLatency.Sort.allCases.map { ReportLatency($0) }
    var consumers = ReportConsumers(span)
    var slowest = ReportSlowest()
    for record in trace.records {
      totals.add(record)
      pages.add(record, map)
      timeline.add(record)
      consumers.add(record)
      slowest.add(record)
      if let sort = ReportLatency.Sort(record),
        let place = latencies.firstIndex(where: { $0.sort == sort })
      {
        latencies[place].add(record.duration)
      }
    }
    for place in latencies.indices { latencies[place].finish() }
    device = trace.device
    self.span = span
    self.totals = totals
    self.pages = pages
    areas = ReportAreas(trace.device, pages)
    self.timeline = timeline
    self.latencies = latencies
    self.consumers = consumers
    self.slowest = slowest.events
    events = ReportEvents(trace.records, map)
  }
}
