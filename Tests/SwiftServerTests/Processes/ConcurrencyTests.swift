import Foundation
import SwiftServerTesting
import TestProtocol
import Testing

@testable import SwiftServer

extension ProcessTests {
    /// Limits of requests in progress. Comments name the test cases of Swoole that a test repeats.
    @Suite struct ConcurrencyTests {
        private static let patience = Duration.seconds(60)

        private func makeServer() -> WebSocketServer {
            let server = WebSocketServer(port: 0, mode: .single)
            server.settings.logLevel = .none
            server.onMessage { server, frame in server.push(frame, to: frame.fd) }
            return server
        }

        /// Waits for a condition that other tasks bring about.
        @MainActor private func wait(_ what: String, until isTrue: () -> Bool) async throws {
            let end = ContinuousClock.now + ConcurrencyTests.patience
            while !isTrue() {
                guard ContinuousClock.now < end else { throw Wait.TimedOut(what: what) }
                try await Task.sleep(for: .milliseconds(1))
            }
        }

        /// The metrics of requests in progress, waiting and refused.
        @MainActor private func requestMetrics(_ server: Server) throws -> [Double] {
            let monitor = try #require(server.worker?.monitor as? Monitor)
            return ["requests_in_progress", "requests_waiting", "requests_refused"].map { name in
                let family = monitor.families.first { $0.name == "swiftserver_\(name)" }
                guard case .number(let value)? = family?.samples.first?.value else { return -1 }
                return value
            }
        }

        /// worker_max_concurrency
        @Test @MainActor func requestsWaitForTheirTurn() async throws {
            let (server, gate) = (makeServer(), Gate())
            server.settings.maxConcurrentRequestsPerWorker = 2
            server.settings.maxWaitingRequests = 3
            server.onRequest { request, response in
                await gate.pass()
                response.end(request.path)
            }
            try await withServer(server, listens: false, patience: ConcurrencyTests.patience) { client in
                let requests = (0..<5).map { index in Task { try await client.get("/\(index)") } }
                try await wait("all requests") { server.stats().requestsInProgress == 5 }
                #expect(gate.inside == 2 && server.stats().requestsWaiting == 3)
                let refused = try await client.get("/refused")
                #expect(refused.status == 503 && refused["Retry-After"] == "1")
                #expect(refused.body == "503 Service Unavailable\n")
                #expect(server.stats().requestsRefused == 1)
                #expect(try requestMetrics(server) == [5, 3, 1])
                #expect(client.log.lines.contains { $0.message.contains("1 request with status 503") })
                let open = Task {
                    while !Task.isCancelled {
                        gate.open()
                        await Task.yield()
                    }
                }
                for (index, request) in requests.enumerated() {
                    let response = try await request.value
                    #expect(response.status == 200 && response.body == "/\(index)")
                }
                open.cancel()
                #expect(gate.most == 2)
                let stats = server.stats()
                #expect(stats.requestsInProgress == 0 && stats.requestsWaiting == 0 && stats.requestsRefused == 1)
            }
        }

        @Test @MainActor func requestsAreCountedWithoutALimit() async throws {
            let (server, gate) = (makeServer(), Gate())
            server.onRequest { request, response in
                await gate.pass()
                response.end(request.path)
            }
            try await withServer(server, listens: false, patience: ConcurrencyTests.patience) { client in
                let requests = (0..<3).map { index in Task { try await client.get("/\(index)") } }
                try await wait("all requests") { server.stats().requestsInProgress == 3 }
                #expect(try requestMetrics(server) == [3, 0, 0])
                let open = Task {
                    while !Task.isCancelled {
                        gate.open()
                        await Task.yield()
                    }
                }
                for request in requests { #expect(try await request.value.status == 200) }
                open.cancel()
                #expect(server.stats().requestsInProgress == 0)
            }
        }

        /// max_concurrency: above the limit 503, below it again 200.
        @Test @MainActor func theServerRefusesWhatExceedsItsLimit() async throws {
            let server = makeServer()
            server.settings.maxConcurrentRequests = 1
            var kept: Response?
            server.onRequest { request, response in
                // Neither a kept response nor one in pieces has ended when its handler returns.
                if request.path == "/pieces" { _ = response.write("first ") as ResponseResult }
                if request.path == "/" { response.end("done") } else { kept = response }
            }
            try await withServer(server, listens: false, patience: ConcurrencyTests.patience) { client in
                for path in ["/kept", "/pieces"] {
                    let request = Task { try await client.get(path) }
                    try await wait(path) { kept != nil }
                    // A connection that got 503 remains open, and serves further requests.
                    let connection = try await client.connect()
                    #expect(try await connection.request("POST", "/", body: [1, 2, 3]).status == 503)
                    kept.take()?.end("last")
                    let response = try await request.value
                    #expect(response.status == 200 && response.body.hasSuffix("last"))
                    let next = try await connection.request("GET", "/")
                    #expect(next.status == 200 && next.body == "done")
                }
                #expect(server.stats().requestsRefused == 2 && server.stats().requestsInProgress == 0)
                #expect(client.log.lines.contains { $0.message.contains("1 requests are in progress (maxConcurr") })
            }
        }

        @Test @MainActor func openWebSocketsAreNoRequests() async throws {
            let (server, gate) = (makeServer(), Gate())
            server.settings.maxConcurrentRequests = 1
            server.onRequest { _, response in response.end("done") }
            server.onHandshake { _, handshake in
                await gate.pass()
                try handshake.accept()
            }
            server.handle("/straight") { _, socket in
                await gate.pass()
                try await socket.upgrade()
                while let frame = try await socket.recv() { try await socket.push(frame) }
            }
            server.get("/routed") { _, response in response.end("routed") }
            try await withServer(server, listens: false, patience: ConcurrencyTests.patience) { client in
                for path in ["/callbacks", "/straight"] {
                    let opening = Task { try await client.webSocket(path) }
                    try await wait("the handshake") { gate.inside == 1 }
                    #expect(try await client.get("/routed").status == 503)
                    gate.open()
                    let socket = try await opening.value
                    #expect(try await socket.ask("open") == "open")
                    #expect(server.stats().requestsInProgress == 0)
                    #expect(try await client.get("/routed").body == "routed")
                }
                // A handshake that nobody has to decide is over at once.
            }
            let plain = makeServer()
            plain.settings.maxConcurrentRequests = 1
            plain.get("/") { _, response in response.end("done") }
            try await withServer(plain, listens: false, patience: ConcurrencyTests.patience) { client in
                let sockets = [try await client.webSocket("/a"), try await client.webSocket("/b")]
                #expect(try await sockets[0].ask("open") == "open")
                #expect(try await client.get("/").status == 200 && plain.stats().requestsInProgress == 0)
            }
        }

        /// A request that waits too long gets status 503, and one whose connection was closed is skipped.
        @Test @MainActor func waitsEndEarly() async throws {
            let server = makeServer()
            server.settings.maxConcurrentRequestsPerWorker = 1
            server.settings.requestTimeout = .seconds(30)
            var kept: Response?
            var served: [String] = []
            server.onRequest { request, response in
                served.append(request.path)
                if request.path == "/first" { kept = response } else { response.end() }
            }
            try await withServer(
                server, listens: false, controlsTime: true, patience: ConcurrencyTests.patience
            ) { client in
                let first = Task { try await client.get("/first") }
                try await wait("the first request") { kept != nil }
                _ = kept?.write("begun ") as ResponseResult?
                let late = Task { try await client.get("/late") }
                try await wait("the second request") { server.stats().requestsWaiting == 1 }
                try await client.advance(by: .seconds(30))
                #expect(try await late.value.status == 503)
                #expect(server.stats().requestsWaiting == 0 && server.stats().requestsRefused == 1)
                let others = Set(server.connections)
                let leaving = try await client.connect()
                try await leaving.send("GET /gone HTTP/1.1\r\nHost: a\r\n\r\n")
                try await wait("the third request") { server.stats().requestsWaiting == 1 }
                let gone = try #require(Set(server.connections).subtracting(others).first)
                server.close(gone, code: 1011)
                try await wait("its end") { !server.exists(gone) }
                kept.take()?.end("end")
                #expect(try await first.value.body == "begun end")
                try await wait("the end") { server.stats().requestsInProgress == 0 }
                #expect(try await client.get("/last").status == 200)
                #expect(served == ["/first", "/last"])
            }
        }

        /// Requests of clients that have left make room in a full queue.
        @Test @MainActor func clientsThatLeaveMakeRoom() async throws {
            let server = makeServer()
            server.settings.maxConcurrentRequestsPerWorker = 1
            server.settings.maxWaitingRequests = 2
            server.settings.requestTimeout = .seconds(600)
            var kept: Response?
            var served: [String] = []
            server.onRequest { request, response in
                served.append(request.path)
                if request.path == "/first" { kept = response } else { response.end() }
            }
            try await withServer(server, listens: false, patience: ConcurrencyTests.patience) { client in
                let first = Task { try await client.get("/first") }
                try await wait("the first request") { kept != nil }
                let others = Set(server.connections)
                for count in 1...2 {
                    let leaving = try await client.connect()
                    try await leaving.send("GET /gone HTTP/1.1\r\nHost: a\r\n\r\n")
                    try await wait("waiting requests") { server.stats().requestsWaiting == count }
                }
                for gone in Set(server.connections).subtracting(others) {
                    server.close(gone, code: 1011)
                    try await wait("the end of a connection") { !server.exists(gone) }
                }
                #expect(server.stats().requestsWaiting == 2)
                let next = Task { try await client.get("/next") }
                try await wait("a place in the queue") { server.stats().requestsWaiting == 1 }
                #expect(server.stats().requestsRefused == 0 && server.stats().requestsInProgress == 2)
                kept.take()?.end("end")
                #expect(try await first.value.body == "end")
                #expect(try await next.value.status == 200)
                #expect(served == ["/first", "/next"])
            }
        }

        /// reset_concurrency_with_base, reset_concurrency_with_process
        @Test(arguments: ServerMode.supervised) func killedWorkersLeaveNoRequestsBehind(_ mode: ServerMode) throws {
            try ServerProcess.run(.async, mode, workers: 2, { $0.maxConcurrentRequests = 2 }) { server in
                let pids = [try server.workerStart(0), try server.workerStart(1)]
                func count() throws -> Int {
                    let counts: Counts = try WebSocketClient(port: server.port).ask(.stats)
                    return counts.requestsInProgress
                }
                let held = try (0..<2).map { _ in try Connection(port: server.port) }
                for connection in held { try connection.sendRequest(.hold()) }
                try Wait.until("both requests") { try count() == 2 }
                let refused = try Connection(port: server.port).get(.name("x"))
                #expect(refused.status == 503 && refused["Retry-After"] == "1")
                for pid in pids { kill(pid, SIGKILL) }
                for id in 0..<2 { try server.workerStart(id, 2) }
                try Wait.until("no request") { try count() == 0 }
                #expect(try Connection(port: server.port).get(.name("x")).status == 200)
            }
        }

        @Test func settingsAreChecked() {
            func message(_ change: (inout Settings) -> Void) -> String? {
                let server = HTTPServer(port: 0, mode: .single)
                server.onRequest { _, response in response.end() }
                change(&server.settings)
                return #expect(throws: ServerError.self) { try server.start() }?.message
            }
            for value in [0, -1, 1 << 25] {
                #expect(
                    message { $0.maxConcurrentRequests = value }
                        == "maxConcurrentRequests must be 1...16,777,216, got \(value)")
                #expect(
                    message { $0.maxConcurrentRequestsPerWorker = value }?.hasPrefix(
                        "maxConcurrentRequestsPerWorker must be 1...16,777,216, got") == true)
            }
            #expect(message { $0.maxWaitingRequests = -1 } == "maxWaitingRequests must be 0...65,536, got -1")
            #expect(message { $0.maxWaitingRequests = 1 } == "maxWaitingRequests needs maxConcurrentRequestsPerWorker")
            let server = Server(port: 0, mode: .single)
            server.settings.maxConcurrentRequests = 1
            server.onReceive { (_: Server, _: ConnectionID, _: [UInt8]) in }
            let error = #expect(throws: ServerError.self) { try server.start() }
            #expect(error?.message == "maxConcurrentRequests needs an http or webSocket port, whose requests it limits")
        }
    }

    /// Handlers wait here until they are let through.
    @MainActor private final class Gate {
        private var waiting: [CheckedContinuation<Void, Never>] = []
        private(set) var most = 0
        var inside: Int { waiting.count }

        func pass() async {
            await withCheckedContinuation { continuation in
                waiting.append(continuation)
                most = max(most, waiting.count)
            }
        }

        func open() {
            let all = waiting
            waiting = []
            for continuation in all { continuation.resume() }
        }
    }
}
