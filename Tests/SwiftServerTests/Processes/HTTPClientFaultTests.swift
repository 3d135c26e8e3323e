import Foundation
import SwiftServer
import SwiftServerJSON
import Testing

extension ProcessTests {
    /// The HTTP client with servers that redirect, misbehave, or are proxies.
    @Suite struct HTTPClientFaultTests {
        /// Runs `test` with a server whose connections are served by `serve`.
        private func run(
            path: String? = nil, _ serve: @escaping @Sendable (RawPeer, Int) throws -> Void,
            test: @escaping @Sendable (_ server: RawHTTPServer, _ url: String) async throws -> Void
        ) async throws {
            try await ClientRun.alone {
                let server = try RawHTTPServer(path: path, serve)
                defer { server.stop() }
                try ClientRun.wait { try await test(server, "http://127.0.0.1:\(server.port)") }
            }
        }

        private static func expect(
            _ code: ClientError.Code, location: SourceLocation = #_sourceLocation,
            _ body: @escaping @Sendable () async throws -> Void
        ) async {
            let error = await #expect(throws: ClientError.self, sourceLocation: location) { try await body() }
            #expect(error?.code == code, "\(error?.message ?? "")", sourceLocation: location)
        }

        // MARK: Redirects

        @Test func redirects() async throws {
            try await run { peer, _ in
                while true {
                    let (head, body) = try peer.request()
                    let target = head.split(separator: " ")[1]
                    let method = head.split(separator: " ")[0]
                    switch target {
                    case "/a/b": peer.respond(301, "Location: ../c?d=e#f\r\n")
                    case "/c?d=e": peer.respond(302, "Location: ?x\r\n")
                    case "/c?x": peer.respond(200, "", "\(method) \(body)")
                    case "/see": peer.respond(303, "Location: /c?x\r\n", "see other")
                    case "/keep": peer.respond(307, "Location: /c?x\r\n")
                    case "/keep8": peer.respond(308, "Location: c?x\r\n")
                    case "/loop": peer.respond(302, "Location: /loop\r\n")
                    case "/ftp": peer.respond(302, "Location: ftp://a/\r\n")
                    case "/none": peer.respond(302, "")
                    default: peer.respond(404)
                    }
                }
            } test: { server, url in
                let client = HTTPClient()
                for (path, method, expected) in [
                    ("/a/b", "GET", "GET "), ("/a/b", "POST", "GET "), ("/a/b", "PUT", "PUT body"),
                    ("/see", "POST", "GET "), ("/see", "PUT", "GET "), ("/keep", "POST", "POST body"),
                    ("/keep8", "PATCH", "PATCH body"), ("/see", "GET", "GET "),
                ] {
                    let response = try await client.execute(
                        HTTPClientRequest(url + path, method: method, body: method == "GET" ? .empty : .text("body")))
                    let text = try await response.body.text(upTo: 100)
                    #expect(text == expected, "\(method) \(path)")
                    #expect(response.url == url + "/c?x")
                }
                #expect(server.connections == 1)
                let head = try await client.head(url + "/see")
                #expect(head.status == 200)
                let last = server.requests.last
                #expect(last?.hasPrefix("HEAD /c?x ") == true)
                await Self.expect(.redirect) { _ = try await client.get(url + "/loop") }
                await Self.expect(.redirect) { _ = try await client.get(url + "/ftp") }
                await Self.expect(.redirect) {
                    let client = HTTPClient { $0.continueThreshold = nil }
                    _ = try await client.post(url + "/keep", body: .stream(Pieces([[1]])))
                }
                let none = try await client.get(url + "/none")
                #expect(none.status == 302)
                let unfollowed = try await HTTPClient { $0.maxRedirects = 0 }.get(url + "/loop")
                #expect(unfollowed.status == 302)
            }
        }

        @Test func secretsStayAtTheirOrigin() async throws {
            try await run { peer, _ in
                while true {
                    let (head, _) = try peer.request()
                    let target = head.split(separator: " ")[1]
                    let port = head.split(separator: "\r\n")[1].split(separator: ":")[2]
                    peer.respond(
                        target == "/" ? 302 : 200, target == "/" ? "Location: http://localhost:\(port)/x\r\n" : "")
                }
            } test: { server, url in
                let secrets: HTTPClient.Fields = ["Authorization": "Basic x", "Cookie": "a=b", "X-Other": "c"]
                _ = try await HTTPClient().get(url + "/", headers: secrets)
                let requests = server.requests
                #expect(requests.count == 2)
                #expect(requests[0].contains("Authorization: Basic x\r\n") && requests[0].contains("Cookie: a=b\r\n"))
                #expect(!requests[1].contains("Authorization") && !requests[1].contains("Cookie"))
                #expect(requests[1].contains("X-Other: c\r\n"))
            }
        }

        // MARK: Connections that end

        /// A server may close a kept connection when the next request is on its way.
        @Test func aStaleConnection() async throws {
            try await run { peer, number in
                try peer.request()
                peer.respond(200, "", "\(number)")
                try peer.request()
            } test: { server, url in
                let client = HTTPClient()
                for expected in ["1", "2"] {
                    let text = try await client.get(url).body.text(upTo: 10)
                    #expect(text == expected)
                }
                #expect(server.connections == 2)
                await Self.expect(.closed) { _ = try await client.post(url, body: .text("once")) }
                #expect(server.connections == 2)
                let after = try await client.get(url).body.text(upTo: 10)
                #expect(after == "3")
            }
        }

        @Test func serversThatMisbehave() async throws {
            let cases: [(response: String, code: ClientError.Code)] = [
                ("", .closed), ("HTTP/1.1 200 OK\r\nContent-Le", .closed), ("SSH-2.0-x\r\n", .protocolError),
                ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", .closed),
                ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", .closed),
                ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz", .protocolError),
                ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", .protocolError),
                ("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", .protocolError),
                ("HTTP/1.1 200 OK\r\nA: \(String(repeating: "x", count: 1000))\r\n\r\n", .protocolError),
            ]
            try await run { peer, _ in
                let (head, _) = try peer.request()
                peer.write(cases[Int(head.split(separator: " ")[1].dropFirst())!].response)
            } test: { _, url in
                let client = HTTPClient { $0.maxHead = 500 }
                for (index, (_, code)) in cases.enumerated() {
                    await Self.expect(code) {
                        _ = try await client.get("\(url)/\(index)").body.collect(upTo: 100)
                    }
                }
            }
        }

        @Test func limitsOfTime() async throws {
            try await run { peer, _ in
                let (head, _) = try peer.request()
                if head.hasPrefix("GET /body") { peer.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nslow") }
                peer.awaitEnd()
            } test: { _, url in
                let client = HTTPClient { $0.readTimeout = .milliseconds(50) }
                for path in ["/head", "/body"] {
                    await Self.expect(.timedOut) { _ = try await client.get(url + path).body.collect(upTo: 100) }
                    await Self.expect(.timedOut) {
                        var request = HTTPClientRequest(url + path)
                        request.timeout = .milliseconds(50)
                        _ = try await HTTPClient().execute(request).body.collect(upTo: 100)
                    }
                }
                let one = HTTPClient {
                    $0.maxConnectionsPerOrigin = 1
                    $0.connectTimeout = .milliseconds(50)
                    $0.maxWaiting = 1
                }
                let first = try await one.get(url + "/body")
                let waiting = Task { try await one.get(url + "/body") }
                await Self.expect(.timedOut) { _ = try await waiting.value }
                withExtendedLifetime(first) {}
            }
        }

        @Test func tooManyWait() async throws {
            try await run { peer, _ in
                try peer.request()
                peer.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nslow")
                peer.awaitEnd()
            } test: { server, url in
                let client = HTTPClient {
                    $0.maxConnectionsPerOrigin = 1
                    $0.maxWaiting = 0
                }
                let first = try await client.get(url)
                await Self.expect(.busy) { _ = try await client.get(url) }
                // The time limit of a request counts while it waits for a connection.
                let patient = HTTPClient {
                    $0.maxConnectionsPerOrigin = 1
                    $0.connectTimeout = .seconds(600)
                    $0.timeout = .milliseconds(50)
                }
                var slow = HTTPClientRequest(url)
                slow.timeout = .seconds(600)
                let second = try await patient.execute(slow)
                let error = await #expect(throws: ClientError.self) { _ = try await patient.get(url) }
                #expect(error?.message == "the request took longer than its timeout of 0.05 seconds")
                withExtendedLifetime((first, second)) {}
            }
        }

        /// A request that fails when it gets its connection passes that on to the next one.
        @Test func anInvalidRequestThatWaited() async throws {
            let isWaiting = DispatchSemaphore(value: 0)
            try await run { peer, _ in
                try peer.request()
                isWaiting.wait()
                peer.respond()
                try peer.request()
                peer.respond(200, "", "next")
                peer.awaitEnd()
            } test: { server, url in
                let client = HTTPClient { $0.maxConnectionsPerOrigin = 1 }
                let first = Task { try await client.get(url) }
                while server.requests.isEmpty { try await Task.sleep(for: .milliseconds(1)) }
                let invalid = Task { try await client.get(url, headers: ["A": "b\nc"]) }
                try await Task.sleep(for: .milliseconds(20))
                let next = Task { try await client.get(url).body.text(upTo: 10) }
                try await Task.sleep(for: .milliseconds(20))
                isWaiting.signal()
                _ = try await first.value
                await Self.expect(.invalidArgument) { _ = try await invalid.value }
                let text = try await next.value
                #expect(text == "next")
            }
        }

        @Test func cancellation() async throws {
            let ended = DispatchSemaphore(value: 0)
            try await run { peer, _ in
                let (head, _) = try peer.request()
                if head.hasPrefix("GET /body") { peer.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nslow") }
                peer.awaitEnd()
                ended.signal()
            } test: { server, url in
                let client = HTTPClient()
                let waiting = Task { try await client.get(url + "/head") }
                while server.requests.isEmpty { try await Task.sleep(for: .milliseconds(1)) }
                waiting.cancel()
                await #expect(throws: CancellationError.self) { _ = try await waiting.value }
                let reading = Task { try await client.get(url + "/body").body.collect(upTo: 100) }
                while server.requests.count < 2 { try await Task.sleep(for: .milliseconds(1)) }
                reading.cancel()
                await #expect(throws: CancellationError.self) { _ = try await reading.value }
                // A response that nobody reads to its end.
                _ = try await client.get(url + "/body")
            }
            for _ in 0..<3 { #expect(ended.wait(timeout: .now() + 20) == .success) }
        }

        /// The server answers before it has received the body, and closes.
        @Test func anEarlyAnswer() async throws {
            try await run { peer, _ in
                try peer.request()
                peer.write("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
                peer.awaitEnd()
            } test: { _, url in
                let pieces = [[UInt8]](repeating: [UInt8](repeating: 1, count: 100_000), count: 200)
                let client = HTTPClient { $0.continueThreshold = nil }
                for body in [
                    HTTPClientRequest.Body.stream(Pieces(pieces)), .stream(Pieces(pieces), length: 20_000_000),
                ] {
                    let response = try await client.post(url, body: body)
                    #expect(response.status == 413)
                    let text = try await response.body.text(upTo: 10)
                    #expect(text == "no")
                }
            }
        }

        // MARK: Contents

        @Test func json() async throws {
            struct Value: Codable, Equatable { let name: String }
            try await run { peer, _ in
                while true {
                    let (head, body) = try peer.request()
                    peer.respond(200, "", head.contains("Content-Type: application/json\r\n") ? body : "[")
                }
            } test: { _, url in
                var request = HTTPClientRequest(url, method: "POST")
                try request.setJSON(Value(name: "a"))
                let client = HTTPClient()
                let value = try await client.execute(request).json(as: Value.self)
                #expect(value == Value(name: "a"))
                await #expect(throws: JSONDecodingError.self) {
                    _ = try await client.get(url).json(as: Value.self)
                }
            }
        }

        #if Deflate
        @Test func compressedBodies() async throws {
            let gzip: [UInt8] = [
                31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 203, 72, 205, 201, 201, 87, 200, 24, 37, 71, 73, 170, 146, 0, 243, 49,
                162, 13, 88, 2, 0, 0,
            ]
            let zlib: [UInt8] = [
                120, 156, 203, 72, 205, 201, 201, 87, 200, 24, 37, 71, 73, 170, 146, 0, 237, 210, 220, 81,
            ]
            try await run { peer, _ in
                while true {
                    let (head, _) = try peer.request()
                    let target = head.split(separator: " ")[1].dropFirst()
                    let bytes = target == "deflate" ? zlib : target == "cut" ? gzip.dropLast(9) : gzip
                    let coding = ["cut", "part"].contains(target) ? "gzip" : target
                    let status = target == "part" ? 206 : 200
                    peer.write("HTTP/1.1 \(status) x\r\nContent-Encoding: \(coding)\r\n")
                    peer.write("Content-Length: \(bytes.count)\r\n\r\n")
                    if !head.hasPrefix("HEAD") { peer.write(bytes) }
                }
            } test: { server, url in
                let text = String(repeating: "hello ", count: 100)
                let client = HTTPClient()
                for coding in ["gzip", "deflate"] {
                    let body = try await client.get("\(url)/\(coding)").body.text(upTo: 600)
                    #expect(body == text)
                }
                #expect(server.requests.last?.contains("gzip, deflate\r\n") == true)
                let unknown = try await client.get("\(url)/lzma").body.collect(upTo: 600)
                #expect(unknown == gzip)
                let plain = try await HTTPClient { $0.decompresses = false }.get("\(url)/gzip").body.collect(upTo: 600)
                #expect(plain == gzip)
                #expect(server.requests.last?.contains("Accept-Encoding") == false)
                let part = try await client.get("\(url)/part", headers: ["Range": "bytes=0-"]).body.collect(upTo: 600)
                #expect(part == gzip)
                #expect(server.requests.last?.contains("Accept-Encoding") == false)
                let none = try await client.head("\(url)/gzip").body.collect(upTo: 0)
                #expect(none.isEmpty)
                await Self.expect(.protocolError) { _ = try await client.get("\(url)/cut").body.collect(upTo: 600) }
                await Self.expect(.tooLarge) {
                    _ = try await HTTPClient { $0.maxDecompressed = 599 }.get("\(url)/gzip").body.collect(upTo: 1000)
                }
            }
        }
        #endif

        // MARK: Other ways to a server

        @Test func proxies() async throws {
            try await run { peer, _ in
                while true {
                    let (head, _) = try peer.request()
                    if head.hasPrefix("CONNECT") {
                        peer.respond(407)
                    } else {
                        peer.respond(200, "", "proxied")
                    }
                }
            } test: { server, url in
                let client = HTTPClient {
                    $0.proxy = HTTPProxy(
                        host: "127.0.0.1", port: server.port, authorization: "Basic x",
                        excluded: ["127.0.0.1", ".direct"])
                }
                for host in ["one.invalid", "two.invalid:81"] {
                    let text = try await client.get("http://\(host)/a?b").body.text(upTo: 10)
                    #expect(text == "proxied")
                    let request = server.requests.last ?? ""
                    #expect(request.hasPrefix("GET http://\(host)/a?b HTTP/1.1\r\nHost: \(host)\r\n"))
                    #expect(request.contains("Proxy-Authorization: Basic x\r\n"))
                }
                #expect(server.connections == 1)
                let error = await #expect(throws: ClientError.self) { _ = try await client.get("https://one.invalid/") }
                #expect(error?.code == .proxy && error?.status == 407)
                #expect(server.requests.last?.hasPrefix("CONNECT one.invalid:443 HTTP/1.1\r\n") == true)
                _ = try await client.get(url + "/direct")
                #expect(server.requests.last?.hasPrefix("GET /direct ") == true)
                #expect(server.requests.last?.contains("Proxy-Authorization") == false)
            }
        }

        @Test func unixSockets() async throws {
            let path = NSTemporaryDirectory() + "/http-client-\(getpid())"
            defer { unsafe unlink(path) }
            try await run(path: path) { peer, _ in
                while true {
                    try peer.request()
                    peer.respond(200, "", "local")
                }
            } test: { server, _ in
                let client = HTTPClient()
                var request = HTTPClientRequest("http://name/")
                request.unixSocket = path
                for _ in 0..<2 {
                    let text = try await client.execute(request).body.text(upTo: 10)
                    #expect(text == "local")
                }
                #expect(server.connections == 1)
                #expect(server.requests.first?.contains("Host: name\r\n") == true)
                request.unixSocket = path + "-missing"
                let missing = request
                await Self.expect(.refused) { _ = try await client.execute(missing) }
            }
        }
    }
}
