/// The pictures of a report.
struct ReportPictures: Sendable {
  let heading: String
  let map: Picture
  let timeline: Picture
  let latency: Picture
  let consumers: Picture

  init(_ analysis: ReportAnalysis) {
    heading = "Page faults of \(analysis.device.path)"
    map = MapPicture(areas: analysis.areas, measure: .faults).picture
    timeline = TimelinePicture(timeline: analysis.timeline, map: analysis.device.map).picture
    latency = LatencyPicture(latencies: analysis.latencies).picture
    consumers = ConsumersPicture(consumers: analysis.consumers, span: analysis.span).picture
  }
}
