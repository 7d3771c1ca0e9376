internal import ArgumentParser
internal import Glibc
internal import SystemCalls
internal import SystemPackage
internal import XIVETrace

/// Writes the files of a report, and lists them on standard output.
enum ReportFiles {
  /// The form of a picture; its name is the end of the file's.
  enum Form: String {
    case svg
    case png
  }

  /// Writes a file of text; nobody ever finds half of it.
  /// - Parameters:
  ///   - text: what.
  ///   - path: where; a file that is there is replaced.
  /// - Throws: `TraceFileError`.
  static func write(_ text: String, to path: String) throws(TraceFileError) {
    do throws(Errno) {
      var file = try ReplacementFile(for: path)
      try file.write(Array(text.utf8))
      try file.commit()
    } catch { throw TraceFileError(path, .writing(error)) }
    print(path)
  }

  /// Writes a report's pictures: into one file, or each into its own.
  /// - Parameters:
  ///   - report: whose.
  ///   - path: a file whose name ends in the form's, or a directory, which is made when missing.
  ///   - form: which form.
  /// - Throws: `TraceFileError`; an exit code where a program is missing or fails, after the line that says so.
  static func write(_ report: TraceReport, to path: String, _ form: Form) throws {
    guard !path.lowercased().hasSuffix(".\(form.rawValue)") else {
      return try write(picture: report.svg(), to: path, form)
    }
    try makeDirectory(path)
    for subject in TraceReport.Subject.allCases {
      let file = "\(path)/\(subject.rawValue).\(form.rawValue)"
      try write(picture: report.svg([subject]), to: file, form)
    }
  }

  private static func makeDirectory(_ path: String) throws(TraceFileError) {
    guard unsafe mkdir(path, 0o777) != 0 else { return }
    let error = errno
    let isThere = error == EEXIST && (try? FileStatus(ofPath: path))?.isDirectory == true
    if !isThere { throw TraceFileError(path, .writing(Errno(rawValue: error))) }
  }

  private static func write(picture svg: String, to path: String, _ form: Form) throws {
    switch form {
    case .svg: try write(svg, to: path)
    case .png: try convert(svg, to: path)
    }
  }

  /// Twice the pixels that the picture has: screens and paper show more.
  private static let zoom = "2"

  private static func convert(_ svg: String, to path: String) throws {
    guard let program = Program.find("rsvg-convert") else {
      printError(
        "xive: rsvg-convert, which makes PNG files, is not installed: apt-get install librsvg2-bin")
      throw Exit.failed
    }
    let place = try TemporaryPlace("xive-report")
    let source = "\(place.path)/picture.svg"
    try TextFile.write(svg, to: source)
    var process = try ChildProcess(program, ["--zoom", zoom, "--output", path, source])
    guard let code = process.exitCode(within: 60_000) else {
      printError("xive: \(path): rsvg-convert has not ended within 60 s")
      throw Exit.failed
    }
    guard code == 0 else {
      printError("xive: \(path): rsvg-convert ended with \(code): see its message above")
      throw Exit.failed
    }
    print(path)
  }
}
