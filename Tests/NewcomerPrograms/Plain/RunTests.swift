import NewcomerSupport
import SwiftServer
import Synchronization
import Testing

/// Servers in asynchronous programs.
@MainActor @Suite(.serialized) struct RunTests {
    /// A server is one of several services: it ends when another one has, which cancels it.
    @Test func aServerIsAService() async throws {
        struct Other: Service {
            let answer: @Sendable () async throws -> Void
            func run() async throws { try await answer() }
        }
        let server = Messages.echo()
        let (started, start) = AsyncStream<Int>.makeStream()
        server.onStart { start.yield($0.port) }
        let text = Mutex("")
        let client = Other {
            for await port in started {
                let answer = try await Task.detached { try Socket(port: port).ask("hello") }.value
                text.withLock { $0 = answer }
                return
            }
        }
        try await serialized { try await runServices([server, client]) }
        #expect(text.withLock { $0 } == "hello")
    }

    @Test func errorsAreThrown() async throws {
        let server = WebSocketServer(port: 0, mode: .single)
        let error = await #expect(throws: ServerError.self) { try await server.run() }
        #expect(error?.code == .missingHandler)
        server.onMessage { _, _ in }
        server.onStart { $0.shutdown() }
        try await serialized { try await server.run() }
        let second = await #expect(throws: ServerError.self) { try await server.run() }
        #expect(second?.code == .alreadyStarted)
    }

    @Test func aCancelledTaskStartsNothing() async throws {
        let server = Messages.echo()
        server.onStart { _ in Issue.record("the server was started") }
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            try await server.run()
        }
        try await task.value
    }

    /// Configuration comes before the start; afterwards it is refused and logged.
    @Test func lateChangesAreRefused() async throws {
        let server = Messages.echo()
        let port = server.listen(.tcp)
        port.onReceive { _, _, _ in }
        server.settings.logLevel = .none
        let (settings, late) = (server.settings.maxConnections, server.settings.maxConnections + 1)
        _ = try await tryOut(server) { port in
            try Socket(port: port).ask("hello")
        }
        server.settings.maxConnections = late
        port.settings.maxPacket = 1
        server.tls = TLSConfiguration(certificateFile: "x", privateKeyFile: "y")
        server.onOpen { _, _ in }
        port.on("connect") { (_, _: ConnectionID) in }
        #expect(server.settings.maxConnections == settings && port.settings.maxPacket != 1 && server.tls == nil)
        #expect(!server.handles(.open) && !port.handles(.connect) && server.handles(.message))
        #expect(throws: ServerError.self) { try server.set(["worker_num": 2]) }
    }
}
