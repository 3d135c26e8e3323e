import Glibc
import Synchronization

/// The terminal of a program that draws its whole screen.
final class Terminal {
    private var saved = termios()
    private var isRaw = false
    private static let wasSignalled = Atomic(false)

    static var isPresent: Bool { isatty(0) == 1 && isatty(1) == 1 }

    /// Whether a signal has asked the program to end.
    static var mustEnd: Bool { wasSignalled.load(ordering: .relaxed) }

    /// Columns and rows.
    static var size: (width: Int, height: Int) {
        var size = winsize()
        guard unsafe ioctl(1, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else { return (80, 24) }
        return (Int(size.ws_col), Int(size.ws_row))
    }

    /// Takes the terminal over, until ``restore()``.
    func begin() {
        guard unsafe tcgetattr(0, &saved) == 0 else { return }
        var raw = saved
        raw.c_lflag &= ~tcflag_t(ICANON | ECHO | ISIG)
        raw.c_iflag &= ~tcflag_t(IXON | ICRNL)
        _ = unsafe tcsetattr(0, TCSANOW, &raw)
        isRaw = true
        for signal in [SIGTERM, SIGINT, SIGHUP] { Terminal.catchSignal(signal) { _ in Terminal.end() } }
        Terminal.catchSignal(SIGWINCH) { _ in }  // ends the wait for a key
        Output.write("\u{1b}[?1049h\u{1b}[?25l")
    }

    func restore() {
        guard isRaw else { return }
        isRaw = false
        Output.write("\u{1b}[?25h\u{1b}[?1049l")
        _ = unsafe tcsetattr(0, TCSANOW, &saved)
    }

    private static func end() { wasSignalled.store(true, ordering: .relaxed) }

    /// Without SA_RESTART, so that a signal ends `poll`.
    private static func catchSignal(_ number: Int32, _ handler: @escaping @convention(c) (Int32) -> Void) {
        var action = sigaction()
        unsafe action.__sigaction_handler.sa_handler = handler
        _ = unsafe sigaction(number, &action, nil)
    }

    /// Draws these lines from the top of the screen, and clears what was behind each.
    func draw(_ lines: [String]) {
        Output.write("\u{1b}[H" + lines.joined(separator: "\u{1b}[K\r\n") + "\u{1b}[K\u{1b}[J")
    }

    /// Waits for a key, at most `limit`; `nil`: none was pressed. The end of the input is Ctrl-D.
    func key(within limit: Duration) -> UInt8? {
        var entry = pollfd(fd: 0, events: Int16(POLLIN), revents: 0)
        guard unsafe poll(&entry, 1, Int32(max(0, limit / .milliseconds(1)))) > 0 else { return nil }
        var byte: UInt8 = 4
        return unsafe read(0, &byte, 1) == 1 ? byte : 4
    }
}
