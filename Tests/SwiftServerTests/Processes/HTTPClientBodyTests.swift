import Foundation
import SwiftServer
import Testing

extension ProcessTests {
    /// The HTTP client: bodies that are announced, trailers, codings.
    @Suite struct HTTPClientBodyTests {
        private func run(
            _ serve: @escaping @Sendable (RawPeer, Int) throws -> Void,
            test: @escaping @Sendable (_ server: RawHTTPServer, _ url: String) async throws -> Void
        ) async throws {
            try await ClientRun.alone {
                let server = try RawHTTPServer(serve)
                defer { server.stop() }
                try ClientRun.wait { try await test(server, "http://127.0.0.1:\(server.port)") }
            }
        }

        // MARK: Expect: 100-continue

        private static let large = String(repeating: "x", count: 1000)

        /// The time limit is too long for the test to pass by it.
        private static func client(_ timeout: Duration = .seconds(600)) -> HTTPClient {
            HTTPClient {
                $0.continueThreshold = 1000
                $0.continueTimeout = timeout
            }
        }

        @Test func bodiesAreSentWhenTheServerAsks() async throws {
            try await run { peer, _ in
                while true {
                    let head = try peer.head()
                    guard head.contains("Expect: 100-continue\r\n") else {
                        peer.respond(200, "", "small \(try peer.body(head).count)")
                        continue
                    }
                    let isEarly = peer.hasMore
                    peer.write("HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n")
                    let isChunked = head.contains("chunked")
                    let body = isChunked ? try peer.text(through: "\r\n0\r\n\r\n") : try peer.body(head)
                    peer.respond(200, "", "\(isEarly) \(isChunked) \(body.utf8.count)")
                }
            } test: { server, url in
                let client = Self.client()
                let whole = try await client.post(url, body: .text(Self.large)).body.text(upTo: 100)
                #expect(whole == "false false 1000")
                let stream = HTTPClientRequest.Body.stream(Pieces([Array("hello".utf8)]))
                let streamed = try await client.post(url, body: stream).body.text(upTo: 100)
                #expect(streamed == "false true 15")
                let small = try await client.post(url, body: .text("hello")).body.text(upTo: 100)
                #expect(small == "small 5")
                #expect(server.connections == 1)
            }
        }

        @Test func refusedBodiesAreNotSent() async throws {
            let received = Received()
            try await run { peer, _ in
                _ = try peer.head()
                peer.respond(413, "", "no")
                received.add(peer.awaitEnd())
            } test: { _, url in
                for body in [HTTPClientRequest.Body.text(Self.large), .stream(Pieces([Array("hello".utf8)]))] {
                    let response = try await Self.client().post(url, body: body)
                    #expect(response.status == 413)
                    let text = try await response.body.text(upTo: 10)
                    #expect(text == "no")
                }
            }
            try Wait.until("the ends of the connections") { received.all.count == 2 }
            #expect(received.all == [0, 0])
        }

        @Test func serversMayIgnoreTheExpectation() async throws {
            try await run { peer, _ in
                while true { peer.respond(200, "", "\(try peer.request().body.count)") }
            } test: { _, url in
                let client = Self.client(.milliseconds(10))
                let text = try await client.post(url, body: .text(Self.large)).body.text(upTo: 100)
                #expect(text == "1000")
            }
        }

        @Test func serversMayRefuseTheExpectation() async throws {
            try await run { peer, _ in
                let head = try peer.head()
                if head.contains("Expect") { return peer.respond(417) }
                if head.contains("chunked") {
                    peer.respond(200, "", try peer.text(through: "0\r\n\r\n"))
                } else {
                    peer.respond(200, "", "\(try peer.body(head).count)")
                }
            } test: { server, url in
                let whole = try await Self.client().post(url, body: .text(Self.large)).body.text(upTo: 100)
                #expect(whole == "1000")
                let stream = HTTPClientRequest.Body.stream(Pieces([Array("hello".utf8)]))
                let streamed = try await Self.client().post(url, body: stream).body.text(upTo: 100)
                #expect(streamed == "5\r\nhello\r\n0\r\n\r\n")
                #expect(server.connections == 4)
            }
        }

        /// A redirect that keeps the body is possible while nothing of a stream was sent.
        @Test func streamsFollowRedirectsBeforeTheyBegin() async throws {
            try await run { peer, _ in
                let head = try peer.head()
                if head.hasPrefix("PUT /a ") { return peer.respond(307, "Location: /b\r\n") }
                peer.write("HTTP/1.1 100 Continue\r\n\r\n")
                peer.respond(200, "", try peer.text(through: "\r\n\r\n"))
            } test: { _, url in
                var request = HTTPClientRequest(url + "/a", method: "PUT", body: .stream(Pieces([Array("hello".utf8)])))
                request.trailers = { ["Digest": "a"] }
                let text = try await Self.client().execute(request).body.text(upTo: 100)
                #expect(text == "5\r\nhello\r\n0\r\nDigest: a\r\n\r\n")
            }
        }

        /// A server may redirect before it has the body. The rest of it is cancelled, which its sequence may throw.
        @Test func bodiesThatAreNotNeeded() async throws {
            try await run { peer, _ in
                let head = try peer.head()
                if head.hasPrefix("GET /b ") { return peer.respond(200, "", "result") }
                _ = try peer.text(through: "hello")
                peer.respond(303, "Location: /b\r\n")
                peer.awaitEnd()
            } test: { _, url in
                let client = HTTPClient { $0.continueThreshold = nil }
                let response = try await client.post(url + "/a", body: .stream(Unfinished()))
                let text = try await response.body.text(upTo: 100)
                #expect(text == "result" && response.url == url + "/b")
            }
        }

        // MARK: Trailers

        @Test func trailers() async throws {
            try await run { peer, _ in
                while true {
                    let head = try peer.head()
                    let body = head.contains("chunked") ? try peer.text(through: "\r\n\r\n") : ""
                    let target = head.split(separator: " ")[1]
                    peer.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                    if !body.isEmpty { peer.write("\(String(body.utf8.count, radix: 16))\r\n\(body)\r\n") }
                    peer.write("0\r\n" + (target == "/none" ? "" : "Digest: a=b\r\nX:  1\r\nX: 2 \r\n") + "\r\n")
                }
            } test: { server, url in
                let client = HTTPClient { $0.continueThreshold = nil }
                let first = try await client.get(url, headers: ["TE": "trailers"])
                let none = try await first.body.collect(upTo: 0)
                #expect(none.isEmpty)
                #expect(first.trailers["digest"] == "a=b" && first.trailers.all("X") == ["1", "2"])
                #expect(server.requests[0].contains("\r\nTE: trailers\r\n"))
                #expect(server.requests[0].contains("\r\nConnection: TE\r\n"))
                let without = try await client.get(url + "/none")
                _ = try await without.body.collect(upTo: 0)
                #expect(without.trailers.isEmpty)

                var request = HTTPClientRequest(url, method: "PUT", body: .text("hello"))
                request.trailers = { ["Digest": "c", "X-Empty": ""] }
                let echo = try await client.execute(request).body.text(upTo: 1000)
                #expect(echo == "5\r\nhello\r\n0\r\nDigest: c\r\nX-Empty: \r\n\r\n")
                request.body = .stream(Pieces([Array("a".utf8), Array("b".utf8)]))
                request.trailers = { [:] }
                let bare = try await client.execute(request).body.text(upTo: 1000)
                #expect(bare == "1\r\na\r\n1\r\nb\r\n0\r\n\r\n")

                request.trailers = { ["Content-Length": "1"] }
                let invalid = request
                let error = await #expect(throws: ClientError.self) { _ = try await client.execute(invalid) }
                #expect(error?.code == .invalidArgument && error?.message.hasPrefix("cannot send the trailers") == true)
            }
        }

        // MARK: Codings

        @Test(.enabled(if: ContentCoding.brotli.isSupported || ContentCoding.zstandard.isSupported))
        func brotliAndZstandard() async throws {
            let bodies: [(ContentCoding, [UInt8])] = [
                (.brotli, [19, 23, 0, 0, 164, 64, 88, 114, 144, 73, 144, 201, 163, 242, 60, 125, 42, 1]),
                (
                    .zstandard,
                    [
                        40, 181, 47, 253, 4, 88, 157, 0, 0, 104, 104, 101, 108, 108, 111, 32, 44, 32, 119, 111, 114,
                        108, 100, 1, 0, 49, 74, 17, 190, 63, 57, 77,
                    ]
                ),
            ]
            try await run { peer, _ in
                while true {
                    let head = try peer.head()
                    let name = head.split(separator: " ")[1].dropFirst()
                    let body = bodies.first { $0.0.rawValue == name }?.1 ?? []
                    peer.write("HTTP/1.1 200 OK\r\nContent-Encoding: \(name)\r\nContent-Length: \(body.count)\r\n\r\n")
                    peer.write(body)
                }
            } test: { server, url in
                for (coding, _) in bodies where coding.isSupported {
                    let text = try await HTTPClient().get("\(url)/\(coding.rawValue)").body.text(upTo: 100)
                    #expect(text == "hello hello hello, world")
                    #expect(server.requests.last?.contains(coding.rawValue + ", ") == true)
                    let error = await #expect(throws: ClientError.self) {
                        let client = HTTPClient { $0.maxDecompressed = 23 }
                        _ = try await client.get("\(url)/\(coding.rawValue)").body.collect(upTo: 100)
                    }
                    #expect(error?.code == .tooLarge)
                }
            }
        }
    }
}

/// A piece, and then none until the task is cancelled.
private struct Unfinished: AsyncSequence, Sendable {
    struct AsyncIterator: AsyncIteratorProtocol {
        var piece: [UInt8]? = Array("hello".utf8)

        mutating func next() async throws -> [UInt8]? {
            if let piece = piece.take() { return piece }
            try await Task.sleep(for: .seconds(600))
            return nil
        }
    }

    func makeAsyncIterator() -> AsyncIterator { AsyncIterator() }
}

/// Numbers that threads of a server have noted.
private final class Received: @unchecked Sendable {
    private let lock = NSLock()
    private var numbers: [Int] = []

    var all: [Int] { lock.withLock { numbers } }
    func add(_ number: Int) { lock.withLock { numbers.append(number) } }
}
