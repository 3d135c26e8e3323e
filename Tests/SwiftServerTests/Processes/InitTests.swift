import Foundation
import Glibc
import SwiftServer
import TestProtocol
import Testing

/// A place where the first process is number 1.
enum Isolation {
    static let runner = ["/usr/bin/unshare", "--pid", "--fork", "--mount-proc"]
    static let isPossible = canRun(runner)

    /// Runs a program that does not see its threads. Without all of `/proc` it would not see its arguments either.
    static let runnerWithoutProc = [
        "/usr/bin/unshare", "--mount", "/bin/sh", "-c", "mount -t tmpfs none /proc/$$/task && exec \"$@\"", "sh",
    ]
    static let canHideProc = canRun(runnerWithoutProc)

    private static func canRun(_ runner: [String]) -> Bool {
        guard FileManager.default.isExecutableFile(atPath: runner[0]) else { return false }
        let trial = Process()
        trial.executableURL = URL(fileURLWithPath: runner[0])
        trial.arguments = Array(runner.dropFirst()) + ["/bin/true"]
        trial.standardError = FileHandle.nullDevice
        guard (try? trial.run()) != nil else { return false }
        trial.waitUntilExit()
        return trial.terminationStatus == 0
    }
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

extension ProcessTests {
    /// Systems that hide `/proc`: some containers and `chroot` folders.
    @Suite(.enabled("needs the right to mount") { Isolation.canHideProc }) struct HiddenProcTests {
        @Test(arguments: ServerMode.allCases) func theServerStarts(_ mode: ServerMode) throws {
            try ServerProcess.run(.general, mode, runner: Isolation.runnerWithoutProc) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask("hello") == "hello")
                guard mode != .single else { return }
                try client.send(.crash)
                try server.workerStart(0, 2)
                let other = try WebSocketClient(port: server.port)
                #expect(try other.ask("hello") == "hello")
            }
        }

        @Test func threadsAreNoticed() throws {
            let server = try ServerProcess.runFailing(.thread, runner: Isolation.runnerWithoutProc)
            let (code, message) = try server.onlyError()
            #expect(code == .threadsRunning)
            #expect(message.contains("cannot fork: threads have run, and without /proc nobody knows"), "\(message)")
        }
    }
}
