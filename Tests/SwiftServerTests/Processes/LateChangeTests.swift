import SwiftServer
import SwiftServerTesting
import TestProtocol
import Testing

extension ProcessTests {
    /// Changes of the configuration after `start()`, which has read it.
    @Suite struct LateChangeTests {
        @Test @MainActor func changesAreRefusedByName() async throws {
            let server = WebSocketServer(port: 0, mode: .single)
            server.settings.logLevel = .none
            server.settings.heartbeatCheckInterval = .seconds(20)
            server.onMessage { server, frame in server.push(frame, to: frame.fd) }
            server.onStart { server in
                let port = server.listen(host: "127.0.0.1", port: 1, .tcp)
                port.onReceive { _, _, _ in }
                server.addProcess("late") { _ in }
                server.processName = "late"
                server.settings.workerCount = 7
                server.onMessage { _, _ in }
                server.onHandshake { _, handshake in handshake.refuse() }
                server.on("open") { (_, _: Request) in }
                server.on("opn") { (_, _: Request) in }
                server.handle("/late") { _, _ in }
                server.setProcessTitle("late")
                do throws(ServerError) {
                    try server.set(["worker_num": 7])
                } catch {
                    #expect(error.message == "set: cannot change options after start()")
                }
            }
            let name = server.processName
            try await withServer(server) { client in
                let log = client.log.lines.map(\.message)
                for change in [
                    "add a port by listen(host:port:_:)", "set onReceive",
                    "add the process \"late\" by addProcess(_:_:)",
                    "set processName", "set settings", "set onMessage", "set onHandshake", "set onOpen",
                    "set a handler for /late",
                ] {
                    let message = "cannot \(change) after start(), which has read the configuration"
                    #expect(log.contains { $0.hasPrefix(message) }, "\(change) in \(log)")
                }
                #expect(log.contains { $0.contains("on(\"opn\"): there is no such event") })
                #expect(log.contains { $0.contains("cannot set the title of the process: in single mode") })
                // Nothing has changed.
                #expect(server.ports.count == 1 && server.processName == name && server.settings.workerCount == 1)
                let socket = try await client.webSocket("/late")
                let answer = try await socket.ask("hello")
                #expect(answer == "hello")
                // What depends on others has its effective value.
                #expect(server.settings.reactorCount == 0 && server.settings.heartbeatIdleTime == .seconds(40))
                #expect(server.option("heartbeat_idle_time") == 40)
            }
        }

        @Test @MainActor func aServerThatDidNotStartMayBeChanged() throws {
            let server = WebSocketServer(port: 0, mode: .single)
            _ = #expect(throws: ServerError.self) { try server.start() }
            #expect(server.settings.reactorCount == nil)
            server.listen(.tcp)
            server.processName = "other"
            server.settings.maxBody = 2048
            #expect(server.ports.count == 2 && server.processName == "other" && server.settings.maxBody == 2048)
        }
    }

    /// Changes in the master of a server with several processes, which continues to serve.
    @Suite struct LateChangeInMasterTests {
        @Test(arguments: ServerMode.supervised) func theMasterServesOn(_ mode: ServerMode) throws {
            try ServerProcess.run(.lateChanges, mode, workers: 2, { $0.reactors = 2 }) { server in
                try server.wait(for: .outcome("ports 1, workers 2, reactors \(mode == .process ? 2 : 0)"))
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask("hello") == "hello")
            }
        }
    }
}
