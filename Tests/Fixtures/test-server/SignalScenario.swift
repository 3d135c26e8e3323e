import Glibc
import SwiftServer

/// Signals that the server has no use for are the program's: each process takes them by handlers of its own.
enum SignalScenario {
    nonisolated(unsafe) private static var server: WebSocketServer!

    @MainActor static func register(_ server: WebSocketServer) {
        unsafe self.server = server
        server.onManagerStart { _ in take("manager") }
        server.onWorkerStart { _, id in take("worker \(id)") }
        server.onTask { (_, _) -> String? in nil }
    }

    /// SIGWINCH tells that it came, SIGCONT has it ignored from then on, SIGURG stops the server.
    private static func take(_ process: String) {
        _ = signal(SIGWINCH) { _ in SignalScenario.tell("window of \(getpid())") }
        _ = signal(SIGCONT) { _ in
            _ = signal(SIGWINCH, SIG_IGN)
            SignalScenario.tell("no more windows of \(getpid())")
        }
        _ = signal(SIGURG) { _ in unsafe SignalScenario.server.shutdown() }
        print("takes signals: \(process) \(getpid())")
    }

    /// `print` may be what a signal has come in the middle of, and would say its line twice.
    private static func tell(_ text: String) {
        let line = Array("\(text)\n".utf8)
        _ = unsafe line.withUnsafeBytes { unsafe write(1, $0.baseAddress, $0.count) }
    }
}
