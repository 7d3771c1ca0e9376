/// A report of a trace: who touched which page, why it faulted again, and what it cost.
///
/// Counts when it is created; its forms are made when they are asked for. The same trace gives the same bytes.
/// Safe from any thread.
public struct TraceReport: Sendable {
  private let analysis: ReportAnalysis
  private let pictures: ReportPictures

  /// A picture of a report.
  public enum Subject: String, Hashable, Sendable, CaseIterable {
    /// Which pages were touched how often.
    case map
    /// Fills, zaps and hot-plug over time.
    case timeline
    /// Histograms of what faults, exact accesses and zaps took.
    case latency
    /// What each thread touched when.
    case consumers
  }

  /// Counts what is in a trace.
  /// - Parameter trace: a device and its records.
  public init(_ trace: Trace) {
    analysis = ReportAnalysis(trace)
    pictures = ReportPictures(analysis)
  }

  /// One HTML page with everything in it; it loads nothing.
  public var html: String { ReportPage(analysis: analysis, pictures: pictures).html }

  /// Pictures as one SVG file, one below the other, in the reader's light or dark colours.
  /// - Parameter subjects: which pictures.
  /// - Returns: the file's text.
  public func svg(_ subjects: [Subject] = Subject.allCases) -> String {
    Picture.file(subjects.map(picture), heading: pictures.heading)
  }

  private func picture(_ subject: Subject) -> Picture {
    switch subject {
    case .map: pictures.map
    case .timeline: pictures.timeline
    case .latency: pictures.latency
    case .consumers: pictures.consumers
    }
  }
}
