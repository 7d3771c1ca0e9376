import FoundationEssentials
import XIVETestSupport

/// `xive trace top` in a pseudo terminal, which a script drives: what it wrote, and what it left of the terminal.
struct TopTerminal: Decodable {
  /// The exit code, or minus the signal that ended it.
  let code: Int
  /// All that it wrote.
  let text: String
  /// What it wrote after the last step of the script.
  let rest: String
  /// Whether the terminal's modes are as they were.
  let isRestored: Bool

  /// Runs it on a device.
  /// - Parameters:
  ///   - path: the device.
  ///   - steps: `wait:TEXT` until it is written, `keys:TEXT`, `signal:NUMBER`, `kill:PROCESS`, `size:COLUMNSxROWS`.
  /// - Throws: ``SupportFailure`` when it does not end.
  init(_ path: String, _ steps: [String]) throws {
    let words = ["python3", "-c", Self.script, Built.path("xive"), path] + steps
    let run = try CommandResult(words, within: 120_000)
    guard let line = run.output.last else { throw SupportFailure("\(run.errors)") }
    self = try JSONDecoder().decode(Self.self, from: Data(line.utf8))
  }

  /// The terminal's alternate screen is left, the cursor is there, and this is the last of it.
  var hasLeftScreen: Bool {
    let parts = text.components(separatedBy: "\u{1b}[?1049l")
    return parts.count == 2 && text.components(separatedBy: "\u{1b}[?1049h").count == 2
      && parts[0].hasSuffix("\u{1b}[?25h")
  }

  /// The screen as it was drawn last: lines without what controls the terminal.
  var screen: [String] {
    let frames = text.components(separatedBy: "\u{1b}[H")
    let last = frames.last { $0.contains("xive trace top") } ?? ""
    let shown = last.components(separatedBy: "\u{1b}[0m\u{1b}[?25h")[0]
    // A terminal ends lines with a carriage return more, which Swift takes for a part of the line's end.
    return shown.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false)
      .map { line in
        ["\u{1b}[K", "\u{1b}[J", "\u{1b}[7m", "\u{1b}[0m"]
          .reduce(String(Substring(line.filter { $0 != "\r" }))) {
            $0.replacing($1, with: "")
          }
      }
  }

  private static let script = """
    import fcntl, json, os, pty, select, signal, struct, subprocess, sys, termios, time
    master, slave = pty.openpty()
    def size(columns, rows):
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    size(80, 24)
    before = termios.tcgetattr(slave)
    program, path, steps = sys.argv[1], sys.argv[2], sys.argv[3:]
    child = subprocess.Popen([program, "trace", "top", path, "--interval", "0.2"],
        stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
    text = b""
    def read(seconds):
        global text
        if select.select([master], [], [], seconds)[0]:
            text += os.read(master, 65536)
            return True
        return False
    mark = 0
    for step in steps:
        verb, word = step.split(":", 1)
        mark = len(text)
        if verb == "wait":
            end = time.time() + 60
            while word.encode() not in text[mark:] and time.time() < end and child.poll() is None:
                read(0.1)
        elif verb == "keys": os.write(master, word.encode())
        elif verb == "signal": child.send_signal(int(word))
        elif verb == "kill": os.kill(int(word), signal.SIGKILL)
        elif verb == "size": size(*map(int, word.split("x")))
    end = time.time() + 60
    while child.poll() is None and time.time() < end: read(0.1)
    if child.poll() is None: child.kill()
    code = child.wait()
    while read(0.2): pass
    after = termios.tcgetattr(slave)
    print(json.dumps({"code": code, "text": text.decode(), "rest": text[mark:].decode(),
        "isRestored": before == after}))
    """
}
