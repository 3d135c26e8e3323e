#if HTTP2
import Foundation
import SwiftServer
import TestProtocol
import Testing

/// The public one; the tests have a client of this name, too.
private typealias AsyncClient = SwiftServer.WebSocketClient

extension ProcessTests {
    /// Clients over HTTP/2.
    @Suite struct HTTP2ClientTests {
        private func client(_ configure: @escaping (inout HTTPClientSettings) -> Void = { _ in }) -> HTTPClient {
            HTTPClient {
                $0.http2 = .always
                configure(&$0)
            }
        }

        private func expect<Value: Equatable & Sendable>(
            _ value: Value, is expected: Value, _ place: SourceLocation = #_sourceLocation
        ) {
            #expect(value == expected, sourceLocation: place)
        }

        // MARK: Requests

        @Test(arguments: ServerMode.supervised + [.single]) func requests(_ mode: ServerMode) async throws {
            try await ClientRun.run(.web, mode) { port in
                let client = client()
                let url = "http://127.0.0.1:\(port)"
                let text = try await client.get(url + "/text")
                #expect(text.status == 200 && text.reason.isEmpty)
                try await expect(text.body.text(upTo: 100), is: "text")
                let redirected = try await client.get(url + "/redirect?to=/bytes")
                #expect(redirected.url == url + "/bytes")
                try await expect(redirected.body.collect(upTo: 100), is: [1, 2, 3])
                let missing = try await client.get(url + "/missing")
                #expect(missing.status == 404)
                let head = try await client.head(url + "/text")
                #expect(head.header("Content-Length") == "4")
                let none = try await head.body.collect(upTo: 0)
                #expect(none.isEmpty)
                let trailers = try await client.get(url + "/trailers", headers: ["TE": "trailers"])
                _ = try await trailers.body.collect(upTo: 100)
                #expect(trailers.trailers["x-sum"] == "6")
                let fields = try await client.get(url + "/headers")
                #expect(fields.status == 201 && fields.headers.all("x-a") == ["4"])
                let error = await #expect(throws: ClientError.self) {
                    _ = try await client.get(url + "/text", headers: ["a b": "c"])
                }
                #expect(error?.code == .invalidArgument)
            }
        }

        /// The response is refused, or its stream is reset by the process that owns the connection.
        @Test(arguments: ServerMode.supervised + [.single]) func tooManyFields(_ mode: ServerMode) async throws {
            try await ClientRun.run(.web, mode) { port in
                let client = client()
                let url = "http://127.0.0.1:\(port)"
                for how in ["end", "write", "file", "trailers"] {
                    var request = HTTPClientRequest(url + "/many-fields?how=\(how)")
                    request.headers["TE"] = "trailers"
                    request.timeout = .seconds(20)
                    do {
                        let response = try await client.execute(request)
                        #expect(response.status == 500, "\(how)")
                    } catch let error as ClientError {
                        #expect(error.code != .timedOut, "\(how)")
                    }
                    try await expect(client.get(url + "/text").body.text(upTo: 100), is: "text")
                }
            }
        }

        @Test func bodiesInPieces() async throws {
            try await ClientRun.run { port in
                let client = client {
                    $0.maxBuffer = 10_000
                    $0.maxQueue = 10_000
                }
                let url = "http://127.0.0.1:\(port)/body"
                let pieces = (0..<40).map { [UInt8](repeating: UInt8($0), count: 10_000) }
                for length in [nil, 400_000] {
                    let response = try await client.post(url, body: .stream(Pieces(pieces), length: length))
                    var received: [UInt8] = []
                    for try await piece in response.body { received += piece }
                    #expect(received == pieces.flatMap { $0 })
                }
                let whole = pieces.flatMap { $0 }
                let echo = try await client.post(url, body: .bytes(whole)).body.collect(upTo: 400_000)
                #expect(echo == whole)
                for length in [5, 7] {
                    let error = await #expect(throws: ClientError.self) {
                        _ = try await client.post(url, body: .stream(Pieces([[1, 2, 3], [4, 5, 6]]), length: length))
                    }
                    #expect(error?.code == .invalidArgument)
                }
                await #expect(throws: Pieces.Broken.self) {
                    _ = try await client.post(url, body: .stream(Pieces([[1]], fails: true)))
                }
                try await expect(client.post(url, body: .text("after")).body.text(upTo: 100), is: "after")
            }
        }

        /// A request that ends early leaves the connection to the others.
        @Test func requestsThatEndEarly() async throws {
            try await ClientRun.run(.http2, .process, { $0.shutdownTimeout = .milliseconds(500) }) { port in
                let client = client()
                let url = "http://127.0.0.1:\(port)"
                let cancelled = Task { try await client.get(url + "/held") }
                // It answers when the request before it was received.
                _ = try await client.get(url).body.text(upTo: 100)
                cancelled.cancel()
                await #expect(throws: CancellationError.self) { _ = try await cancelled.value }
                var limited = HTTPClientRequest(url + "/held")
                limited.timeout = .milliseconds(50)
                let late = await #expect(throws: ClientError.self) { _ = try await client.execute(limited) }
                #expect(late?.code == .timedOut)
                do {
                    let dropped = try await client.get(url + "/large")
                    #expect(dropped.status == 200)
                }
                let begun = try await client.get(url + "/begun")
                var iterator = begun.body.makeAsyncIterator()
                try await expect(iterator.next(), is: Array("2".utf8))
                // A response that is not read stops no other one.
                let unread = try await client.get(url + "/large")
                for _ in 0..<10 { try await expect(client.get(url).body.text(upTo: 100), is: "hello\n") }
                try await expect(unread.body.collect(upTo: 1 << 20).count, is: 300_000)
            }
        }

        #if TLS
        @Test(arguments: [ClientHTTP2.never, .negotiated, .always]) func overTLS(_ http2: ClientHTTP2) async throws {
            let folder = try TLSFolder("one")
            defer { withExtendedLifetime(folder) {} }
            let (authority, certificate) = (folder["authority.pem"], folder.certificate("one"))
            try await ClientRun.run(
                .http2, .process,
                {
                    $0.certificate = certificate
                    $0.shutdownTimeout = .milliseconds(500)  // a response is not complete
                }
            ) { port in
                let tls = ClientTLS(trust: .authorities(.file(authority)), serverName: "one")
                let client = HTTPClient {
                    $0.http2 = http2
                    $0.tls = tls
                }
                try await withThrowingTaskGroup(of: String.self) { group in
                    for _ in 0..<30 {
                        group.addTask { try await client.get("https://127.0.0.1:\(port)").body.text(upTo: 100) }
                    }
                    for try await text in group { #expect(text == "hello\n") }
                }
                let begun = try await client.get("https://127.0.0.1:\(port)/begun")
                var iterator = begun.body.makeAsyncIterator()
                try await expect(iterator.next(), is: Array((http2 == .never ? "1.1" : "2").utf8))
                let socket = try await AsyncClient.connect("wss://127.0.0.1:\(port)/a") {
                    $0.http2 = http2
                    $0.tls = tls
                }
                try await socket.push("hello")
                try await expect(socket.recv(timeout: .seconds(20))?.text, is: "hello")
                try await socket.close()
            }
        }

        /// A server that does not choose HTTP/2.
        @Test func serversWithoutHTTP2() async throws {
            let folder = try TLSFolder("one")
            defer { withExtendedLifetime(folder) {} }
            let (authority, certificate) = (folder["authority.pem"], folder.certificate("one"))
            try await ClientRun.run(
                .echo, .process,
                {
                    $0.certificate = certificate
                    $0.http2 = false
                }
            ) { port in
                for http2 in [ClientHTTP2.negotiated, .always] {
                    let tls = ClientTLS(trust: .authorities(.file(authority)), serverName: "one")
                    let client = HTTPClient {
                        $0.http2 = http2
                        $0.tls = tls
                    }
                    let url = "127.0.0.1:\(port)/secure"
                    guard http2 == .always else {
                        for _ in 0..<3 {
                            try await expect(client.get("https://" + url).body.text(upTo: 100), is: "true true")
                        }
                        let socket = try await AsyncClient.connect("wss://" + url) {
                            $0.http2 = http2
                            $0.tls = tls
                        }
                        try await socket.close()
                        continue
                    }
                    let error = await #expect(throws: ClientError.self) { _ = try await client.get("https://" + url) }
                    // The server refuses a client that offers nothing else.
                    #expect(error?.code == .tls)
                    let refused = await #expect(throws: ClientError.self) {
                        _ = try await AsyncClient.connect("wss://" + url) {
                            $0.http2 = http2
                            $0.tls = tls
                        }
                    }
                    #expect(refused?.code == .tls)
                }
            }
        }
        #endif

        // MARK: WebSockets

        @Test(arguments: ServerMode.supervised + [.single]) func webSockets(_ mode: ServerMode) async throws {
            try await ClientRun.run(.clients, mode, { $0.compresses = true }) { port in
                let url = "ws://127.0.0.1:\(port)/echo"
                var clients: [AsyncClient] = []
                for _ in 0..<10 {
                    clients.append(
                        try await AsyncClient.connect(url) {
                            $0.http2 = .always
                            $0.compression = Compression()
                        })
                }
                for (index, client) in clients.enumerated() { try await client.push("\(index)") }
                for (index, client) in clients.enumerated() {
                    try await expect(client.recv(timeout: .seconds(20))?.text, is: "\(index)")
                    await expect(client.isCompressed, is: true)
                }
                let bytes = (0..<500_000).map { UInt8(truncatingIfNeeded: $0 &* 7 >> 3) }
                try await clients[0].push(bytes)
                try await expect(clients[0].recv(timeout: .seconds(20))?.bytes, is: bytes)
                try await clients[0].ping([1])
                try await clients[0].close(code: 4000, reason: "done")
                await expect(clients[0].closeReason?.code, is: 4000)
                for client in clients.dropFirst() { try await client.close() }
            }
        }

        // MARK: Servers that misbehave

        private func misbehaving(
            _ scenario: String, _ test: @escaping @Sendable (_ url: String) async throws -> Void
        ) async throws {
            try await ClientRun.alone {
                let server = Process()
                let output = Pipe()
                server.executableURL = URL(fileURLWithPath: "/usr/bin/env")
                server.arguments = ["python3", "\(TLSFolder.fixtures)/../http2-server.py", scenario]
                server.standardOutput = output
                try server.run()
                defer {
                    kill(server.processIdentifier, SIGKILL)  // other signals may be blocked, as in this process
                    server.waitUntilExit()
                }
                let line = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
                let port = try #require(Int(line.trimmingCharacters(in: .whitespacesAndNewlines)))
                try ClientRun.wait { try await test("http://127.0.0.1:\(port)/") }
            }
        }

        @Test(arguments: ["GET", "POST"]) func requestsThatAreNotProcessed(_ method: String) async throws {
            try await misbehaving("refused") { url in
                let text = try await client().execute(HTTPClientRequest(url, method: method)).body.text(upTo: 10)
                #expect(text == "1")
            }
            try await misbehaving("goaway-unprocessed") { url in
                let text = try await client().execute(HTTPClientRequest(url, method: method)).body.text(upTo: 10)
                #expect(text == "2")
            }
            try await misbehaving("always-refused") { url in
                let client = client()
                let error = await #expect(throws: ClientError.self) {
                    _ = try await client.execute(HTTPClientRequest(url, method: method))
                }
                #expect(error?.code == .closed)
            }
        }

        @Test func requestsThatFail() async throws {
            for (scenario, code) in [("reset", ClientError.Code.closed), ("http1", .protocolError)] {
                try await misbehaving(scenario) { url in
                    let client = client()
                    let error = await #expect(throws: ClientError.self) { _ = try await client.get(url) }
                    #expect(error?.code == code)
                }
            }
            try await misbehaving("large-head") { url in
                let client = client { $0.maxHead = 1000 }
                let error = await #expect(throws: ClientError.self) { _ = try await client.get(url) }
                #expect(error?.message.hasSuffix("head too large") == true)
            }
            for scenario in ["cut", "refused-late"] {
                try await misbehaving(scenario) { url in
                    let response = try await client().get(url)
                    let body = response.body
                    let error = await #expect(throws: ClientError.self) { _ = try await body.collect(upTo: 10) }
                    #expect(error?.code == .closed)
                }
            }
            // It may have been processed.
            try await misbehaving("reset-second") { url in
                let client = client()
                _ = try await client.get(url).body.text(upTo: 10)
                let error = await #expect(throws: ClientError.self) { _ = try await client.get(url) }
                #expect(error?.code == .closed)
            }
        }

        @Test func connectionsThatAServerLeaves() async throws {
            try await misbehaving("goaway") { url in
                let client = client()
                for number in 1...3 { try await expect(client.get(url).body.text(upTo: 10), is: "\(number)") }
            }
            try await misbehaving("goaway-large") { url in
                try await expect(client().get(url).body.text(upTo: 10), is: "first 1")
            }
            try await misbehaving("close-second") { url in
                let client = client()
                try await expect(client.get(url).body.text(upTo: 10), is: "1")
                try await expect(client.get(url).body.text(upTo: 10), is: "2")
            }
            try await misbehaving("close-second") { url in
                let client = client()
                try await expect(client.get(url).body.text(upTo: 10), is: "1")
                let error = await #expect(throws: ClientError.self) { _ = try await client.post(url) }
                #expect(error?.code == .closed)
            }
        }

        /// The server allows two requests at the same time on a connection, and answers when it has five.
        @Test func connectionsThatAreFull() async throws {
            try await misbehaving("limit") { url in
                let client = client()
                let numbers = try await withThrowingTaskGroup(of: String.self) { group in
                    for _ in 0..<5 { group.addTask { try await client.get(url).body.text(upTo: 10) } }
                    return try await group.reduce(into: [String: Int]()) { $0[$1, default: 0] += 1 }
                }
                #expect(numbers == ["1": 2, "2": 2, "3": 1])
            }
        }

        @Test func interimResponsesAndTrailers() async throws {
            try await misbehaving("trailers") { url in
                let response = try await client().get(url)
                #expect(response.status == 200 && response.header("x") == "y")
                try await expect(response.body.text(upTo: 10), is: "body")
                #expect(response.trailers["Checksum"] == "1")
            }
        }

        @Test func settingsThatAreInvalid() async throws {
            let error = #expect(throws: ClientError.self) {
                _ = try BlockingWebSocket.connect("ws://127.0.0.1:1") { $0.http2 = .always }
            }
            #expect(error?.code == .invalidArgument)
        }

        @Test func serversWithoutRoom() async throws {
            try await misbehaving("no-room") { url in
                let error = await #expect(throws: ClientError.self) {
                    _ = try await AsyncClient.connect(url.replacing("http", with: "ws")) { $0.http2 = .always }
                }
                #expect(error?.code == .closed)
            }
        }

        @Test func serversWithoutWebSockets() async throws {
            try await misbehaving("plain") { url in
                let error = await #expect(throws: ClientError.self) {
                    _ = try await AsyncClient.connect(url.replacing("http", with: "ws")) { $0.http2 = .always }
                }
                #expect(error?.code == .handshake)
                #expect(error?.message.hasSuffix("the server does not accept WebSockets over HTTP/2") == true)
            }
        }
    }
}
#else
import SwiftServer
import Testing

/// Clients in a build without HTTP/2.
@Suite struct HTTP2ClientTests {
    @Test func theyRefuseIt() async throws {
        let client = HTTPClient { $0.http2 = .always }
        let error = await #expect(throws: ClientError.self) { _ = try await client.get("http://127.0.0.1:1/") }
        #expect(error?.code == .invalidArgument)
        let refused = await #expect(throws: ClientError.self) {
            _ = try await SwiftServer.WebSocketClient.connect("ws://127.0.0.1:1") { $0.http2 = .always }
        }
        #expect(refused?.code == .invalidArgument)
    }
}
#endif
