import Foundation
import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// Servers of one process, in the process of the tests.
    @Suite struct SingleProcessTests {
        /// Runs a server until `client`, which runs in a thread of its own, has returned.
        @MainActor private func serve<Result: Sendable>(
            _ configure: @MainActor (WebSocketServer) -> Void = { _ in },
            _ client: @escaping @Sendable (Int) throws -> Result
        ) async throws -> Result {
            let server = WebSocketServer(port: 0, mode: .single)
            server.settings.closeTimeout = .milliseconds(100)
            server.settings.logLevel = .none
            server.onOpen { server, request in server.push(encoded(Welcome(request.fd, server)), to: request.fd) }
            server.onMessage { server, frame in server.push(frame, to: frame.fd) }
            server.onRequest { _, response in response.end("hello") }
            configure(server)
            return try await withServer(server) { clients in
                let port = clients.port
                return try await Task.detached { try client(port) }.value
            }
        }

        @Test @MainActor func oneAfterTheOther() async throws {
            for index in 0..<10 {
                let answer = try await serve { port in
                    let idle = try Connection(port: port)
                    let body = try idle.get("/").body
                    return try WebSocketClient(port: port).ask("\(index)") + body
                }
                #expect(answer == "\(index)hello")
                await Task.yield()
                await Task.detached {}.value
            }
        }

        /// Descriptors of servers that have ended would add up.
        @Test @MainActor func nothingIsLeftOpen() async throws {
            func descriptors() throws -> [String] {
                try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").compactMap {
                    try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)")
                }.map { String($0.prefix { $0 != "[" }) }.sorted()
            }
            _ = try await serve { try Connection(port: $0).get("/").body }
            let before = try descriptors()
            for _ in 0..<3 { _ = try await serve { try Connection(port: $0).get("/").body } }
            let after = try descriptors()
            #expect(after == before)
        }

        /// A server that cannot start leaves the main actor to the program, too.
        @Test @MainActor func afterAnError() async throws {
            let blocker = try PortUser(shared: false)
            let server = WebSocketServer(port: blocker.port, mode: .single)
            server.settings.logLevel = .none
            server.onMessage { _, _ in }
            try await Turns.run { _ = #expect(throws: ServerError.self) { try server.start() } }
            await Task.yield()
            #expect(try await serve { try Connection(port: $0).get("/").body } == "hello")
        }

        /// A handler that did not finish in time goes on when its server is gone, and has nobody to answer.
        @Test @MainActor func aHandlerThatOutlivesItsServer() async throws {
            let (blocked, gate) = AsyncStream<Void>.makeStream()
            let (done, end) = AsyncStream<[String]>.makeStream()
            try await serve { server in
                server.settings.shutdownTimeout = .milliseconds(50)
                server.onRequest { request, response in
                    var words: [String] = []
                    for await _ in blocked { break }
                    words.append("\(server.push("late", to: request.fd))")
                    words.append("\(server.close(request.fd))")
                    response.end("late")
                    words.append("\(server.clearTimer(server.after(.seconds(1)) {}))")
                    end.yield(words)
                }
            } _: { port in
                let client = try Connection(port: port)
                try client.sendRequest("/")
                // The request has arrived when a later one is answered.
                _ = try WebSocketClient(port: port).ask("x")
            }
            gate.yield()
            var words: [String] = []
            for await some in done {
                words = some
                break
            }
            #expect(words == ["\(PushResult.closed)", "\(CommandResult.closed)", "false"])
        }

        /// There is nobody to replace the process, so this ends the server.
        @Test @MainActor func stopOfTheWorkerIsAShutdown() async throws {
            var wasAnnounced = false
            let answer = try await serve { server in
                server.onBeforeShutdown { _ in wasAnnounced = true }
                server.onRequest { _, response in response.end("\(server.stop(worker: 1)) \(server.stop())") }
            } _: { port in
                let client = try Connection(port: port)
                let body = try client.get("/").body
                _ = try client.takeRest()
                return body
            }
            #expect(answer == "false true" && wasAnnounced)
        }

        @Test @MainActor func optionsByNameReachThePort() async throws {
            let server = Server(port: 0, mode: .single)
            try server.set(["open_length_check": true, "log_level": 6])
            server.onReceive { (server: Server, fd: ConnectionID, packet: [UInt8]) in
                server.send("\(packet.count) ", to: fd)
            }
            var task: Task<String?, any Error>?
            server.onStart { server in
                let port = server.port
                task = Task.detached {
                    defer { server.shutdown() }
                    let client = try Connection(port: port)
                    try client.send([0, 0, 0, 3, 1, 2, 3, 0, 0, 0, 1, 1, 0, 0, 0, 0])
                    return try client.take(through: "7 5 4 ")
                }
            }
            try await Turns.run {
                try server.start()
                let text = try await task!.value
                #expect(text == "7 5 4 ")
            }
        }
    }
}
