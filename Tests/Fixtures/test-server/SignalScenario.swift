import Glibc
import SwiftServer
import TestProtocol

/// Signals that the server has no use for are the program's: each process takes them by handlers of its own.
enum SignalScenario {
    nonisolated(unsafe) private static var server: WebSocketServer!
    /// Lines that handlers write: nothing may be allocated in them.
    nonisolated(unsafe) private static var window: [UInt8] = []
    nonisolated(unsafe) private static var noMoreWindows: [UInt8] = []

    @MainActor static func register(_ server: WebSocketServer) {
        unsafe self.server = server
        server.onManagerStart { _ in take(.manager) }
        server.onWorkerStart { _, id in take(.worker(id)) }
        server.onTask { (_, _) -> String? in nil }
    }

    /// SIGWINCH reports that it came, SIGCONT has it ignored from then on, SIGURG stops the server.
    private static func take(_ process: Event.Poster) {
        unsafe window = line(.windowSignal(pid: getpid()))
        unsafe noMoreWindows = line(.ignoresWindowSignals(pid: getpid()))
        _ = signal(SIGWINCH) { _ in unsafe SignalScenario.write(SignalScenario.window) }
        _ = signal(SIGCONT) { _ in
            _ = signal(SIGWINCH, SIG_IGN)
            unsafe SignalScenario.write(SignalScenario.noMoreWindows)
        }
        _ = signal(SIGURG) { _ in unsafe SignalScenario.server.shutdown() }
        Event.takesSignals(process, pid: getpid()).report()
    }

    private static func line(_ event: Event) -> [UInt8] { Array("\(encoded(event))\n".utf8) }

    /// `print` may be what a signal has interrupted, and would write its line twice.
    private static func write(_ line: [UInt8]) {
        _ = unsafe line.withUnsafeBytes { unsafe Glibc.write(1, $0.baseAddress, $0.count) }
    }
}
