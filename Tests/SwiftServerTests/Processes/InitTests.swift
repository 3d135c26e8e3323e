import Foundation
import Glibc
import SwiftServer
import TestProtocol
import Testing

/// A place where the first process is number 1.
enum Isolation {
    static let runner = ["/usr/bin/unshare", "--pid", "--fork", "--mount-proc"]

    static let isPossible: Bool = {
        guard FileManager.default.isExecutableFile(atPath: runner[0]) else { return false }
        let trial = Process()
        trial.executableURL = URL(fileURLWithPath: runner[0])
        trial.arguments = Array(runner.dropFirst()) + ["/bin/true"]
        trial.standardError = FileHandle.nullDevice
        guard (try? trial.run()) != nil else { return false }
        trial.waitUntilExit()
        return trial.terminationStatus == 0
    }()
}

extension ProcessTests {
    /// The server as process 1, as in a container: the kernel treats its signals differently, and it inherits orphans.
    @Suite(.enabled("needs the right to make a PID namespace") { Isolation.isPossible }) struct InitTests {
        @Test(arguments: ServerMode.supervised, [SIGTERM, SIGINT])
        func signalsStopProcessOne(_ mode: ServerMode, _ signal: Int32) throws {
            try ServerProcess.run(.general, mode, workers: 2, runner: Isolation.runner) { server in
                let client = try WebSocketClient(port: server.port)
                let parents: Parents = try client.ask(.parents)
                #expect(parents.master == 1)
                try server.workerStart(1)
                let master = try server.process("master")
                #expect(master != server.pid)
                server.signal(SIGHUP, to: master)
                server.signal(SIGIO, to: master)
                #expect(try client.ask("hello") == "hello")
                client.connection.disconnect()
                server.signal(signal, to: master)
                #expect(try server.waitForEnd() == .exit(0))
                try server.waitForSilence()
                #expect(server.events(.workerStop).count == 2)
                #expect(server.events(.shutdown) == [.shutdown(pid: 1)])
            }
        }

        @Test(arguments: ServerMode.supervised) func orphansAreReaped(_ mode: ServerMode) throws {
            try ServerProcess.run(.general, mode, runner: Isolation.runner, { $0.logLevel = .debug }) { server in
                let client = try WebSocketClient(port: server.port)
                let master = try server.process("master")
                let orphan: Int32 = try client.ask(.orphan)
                try Wait.until("the end of the orphan") { server.log.contains("orphan \(orphan) ") }
                #expect(ProcessTable.zombies(of: master).isEmpty)
                #expect(try client.ask("hello") == "hello")
                client.connection.disconnect()
                server.signal(SIGTERM, to: master)
                #expect(try server.waitForEnd() == .exit(0))
            }
        }
    }
}
