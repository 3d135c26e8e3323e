import Glibc
import SwiftServer
import TestProtocol
import Testing

/// A `test-server` in the background, with its files in a folder of its own. Whoever started it has ended.
final class Daemon {
    let folder: Folder
    let pid: Int32
    let group: Int32
    /// Of the process that was started.
    let starter: ServerProcess

    /// Starts one, runs `test`, and stops it. Nothing may be left of it then.
    static func run(
        _ mode: ServerMode, workers: Int = 1, _ test: (Daemon) throws -> Void
    ) throws {
        let folder = try Folder()
        let daemon = try Daemon(folder, mode, workers)
        defer { kill(-daemon.group, SIGKILL) }
        do {
            try test(daemon)
            try daemon.stop()
        } catch {
            Issue.record("\(error); the log is\n\(daemon.log)")
            throw error
        }
        #expect(!folder.exists("pid"))
    }

    private init(_ folder: Folder, _ mode: ServerMode, _ workers: Int) throws {
        self.folder = folder
        starter = try ServerProcess.runFailing(.general, mode, workers: workers) {
            $0.daemonize = true
            $0.logFile = folder.relative("log")
            $0.pidFile = folder.relative("pid")
        }
        #expect(starter.end == .exit(0), "\(starter.log)")
        pid = try #require(Int32(folder.text("pid").dropLast()))
        group = try #require(ProcessTable.entry(pid)?.group)
    }

    var log: String { folder.text("log") }
    var running: [Int32] { ProcessTable.running(inGroup: group) }

    var events: [Event] { log.split(separator: "\n").compactMap { Event.parse(String($0))?.event } }

    var port: Int {
        get throws {
            try #require(events.lazy.compactMap { if case .ready(let port, _, _) = $0 { port } else { nil } }.first)
        }
    }

    func stop() throws {
        kill(pid, SIGTERM)
        try Wait.until("the end of \(running)") { running.isEmpty }
    }
}
