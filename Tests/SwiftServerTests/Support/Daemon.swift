import Glibc
import SwiftServer
import Testing

/// A `test-server` in the background, with its files in a folder of its own. Whoever started it has ended.
final class Daemon {
    let folder: Folder
    let pid: Int32
    let group: Int32
    /// Of the process that was started.
    let starter: ServerProcess

    /// Starts one, runs `body`, and stops it. Nothing may be left of it then.
    static func run(
        _ mode: ServerMode, workers: Int = 1, _ options: [String] = [], _ body: (Daemon) throws -> Void
    ) throws {
        let folder = try Folder()
        let daemon = try Daemon(folder, mode, workers, options)
        defer { kill(-daemon.group, SIGKILL) }
        do {
            try body(daemon)
            try daemon.stop()
        } catch {
            Issue.record("\(error); the log is\n\(daemon.log)")
            throw error
        }
        #expect(!folder.exists("pid"))
    }

    private init(_ folder: Folder, _ mode: ServerMode, _ workers: Int, _ options: [String]) throws {
        self.folder = folder
        let files = ["daemonize=1", "logFile=\(folder.relative("log"))", "pidFile=\(folder.relative("pid"))"]
        starter = try ServerProcess.runFailing("general", mode, workers: workers, files + options)
        #expect(starter.end == .exit(0), "\(starter.log)")
        pid = try #require(Int32(folder.text("pid").dropLast()))
        group = try #require(ProcessTable.entry(pid)?.group)
    }

    var log: String { folder.text("log") }
    var running: [Int32] { ProcessTable.running(inGroup: group) }

    /// The port in its log.
    var port: Int {
        get throws {
            let line = try #require(log.split(separator: "\n").first { $0.hasPrefix("ready ") })
            return try #require(Int(line.split(separator: " ")[1]))
        }
    }

    func stop() throws {
        kill(pid, SIGTERM)
        try Wait.until("the end of \(running)") { running.isEmpty }
    }
}
