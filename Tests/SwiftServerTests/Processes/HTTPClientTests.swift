import Foundation
import SwiftServer
import SwiftServerJSON
import TestProtocol
import Testing

extension ProcessTests {
    /// The HTTP client with real servers.
    @Suite struct HTTPClientTests {
        @Test(arguments: ServerMode.supervised) func requests(_ mode: ServerMode) async throws {
            try await ClientRun.run(.general, mode) { port in
                let client = HTTPClient()
                let url = "http://127.0.0.1:\(port)"
                let first = try await client.get(url)
                #expect(first.status == 200 && first.reason == "OK" && first.url == url + "/")
                #expect(first.header("content-TYPE") == "text/plain" && first.headers["content-type"] == "text/plain")
                let text = try await first.body.text(upTo: 100)
                #expect(text == "hello")
                let again = try await first.body.text(upTo: 100)
                #expect(again == "hello")
                let missing = try await client.get(url + "/missing")
                #expect(missing.status == 404)
                let query = try await client.get(url + "/query?a=1&b=%20#fragment").body.text(upTo: 100)
                #expect(query == "a=1;b= ")
                let posted = try await client.post(url + "/body", body: .text("grüße")).body.text(upTo: 100)
                #expect(posted == "grüße")
                let head = try await client.head(url)
                #expect(head.status == 200 && head.header("Content-Length") == "5")
                let none = try await head.body.collect(upTo: 0)
                #expect(none.isEmpty)
                for request in [try await client.put(url), try await client.patch(url), try await client.delete(url)] {
                    #expect(request.status == 200)
                }
            }
        }

        /// Requests one after the other use one connection, and several at a time no more than are allowed.
        @Test func connectionsAreReused() async throws {
            try await ClientRun.run { port in
                let client = HTTPClient { $0.maxConnectionsPerOrigin = 3 }
                let url = "http://127.0.0.1:\(port)"
                var connections: Set<String> = []
                for _ in 0..<10 {
                    connections.insert(try await client.get(url + Page.fd.target).body.text(upTo: 100))
                }
                #expect(connections.count == 1)
                let later = url + Page.later(.milliseconds(5)).target
                try await withThrowingTaskGroup(of: String.self) { group in
                    for index in 0..<30 {
                        group.addTask {
                            let target = index % 2 == 0 ? later : url + Page.fd.target
                            return try await client.get(target).body.text(upTo: 100)
                        }
                    }
                    for try await text in group where text != "later" { connections.insert(text) }
                }
                #expect((1...3).contains(connections.count))
                client.closeIdleConnections()
                let fresh = try await client.get(url + Page.fd.target).body.text(upTo: 100)
                #expect(!connections.contains(fresh))
            }
        }

        @Test func bodiesInPieces() async throws {
            try await ClientRun.run { port in
                let client = HTTPClient {
                    $0.maxBuffer = 10_000
                    $0.maxQueue = 10_000
                }
                let url = "http://127.0.0.1:\(port)/body"
                let pieces = (0..<40).map { [UInt8](repeating: UInt8($0), count: 10_000) }
                for length in [nil, 400_000] {
                    let response = try await client.post(url, body: .stream(Pieces(pieces), length: length))
                    var received: [UInt8] = []
                    for try await piece in response.body {
                        #expect(!piece.isEmpty)
                        received += piece
                    }
                    #expect(received == pieces.flatMap { $0 })
                }
                let whole = pieces.flatMap { $0 }
                let echo = try await client.post(url, body: .bytes(whole)).body.collect(upTo: 400_000)
                #expect(echo == whole)
                let written = try await client.get("http://127.0.0.1:\(port)" + Page.pieces.target)
                let text = try await written.body.text(upTo: 1000)
                #expect(text.hasPrefix("one two "))
            }
        }

        @Test func bodiesThatFail() async throws {
            try await ClientRun.run { port in
                let client = HTTPClient()
                let url = "http://127.0.0.1:\(port)/body"
                for length in [5, 7] {
                    let error = await #expect(throws: ClientError.self) {
                        _ = try await client.post(url, body: .stream(Pieces([[1, 2, 3], [4, 5, 6]]), length: length))
                    }
                    #expect(error?.code == .invalidArgument)
                }
                await #expect(throws: Pieces.Broken.self) {
                    _ = try await client.post(url, body: .stream(Pieces([[1]], fails: true)))
                }
                let small = try await client.post(url, body: .text("hello"))
                let error = await #expect(throws: ClientError.self) { _ = try await small.body.collect(upTo: 4) }
                #expect(error?.code == .tooLarge)
            }
        }

        @Test(arguments: ServerMode.supervised) func aWorkerIsAClient(_ mode: ServerMode) async throws {
            try await ClientRun.run(.clients, mode) { port in
                let client = HTTPClient()
                for _ in 0..<3 {
                    let text = try await client.get("http://127.0.0.1:\(port)/fetch").body.text(upTo: 100)
                    #expect(text.hasPrefix("hello ") && text.hasSuffix(" true true"))
                }
            }
        }

        @Test func invalidRequests() async throws {
            try await ClientRun.run { port in
                let client = HTTPClient()
                let url = "http://127.0.0.1:\(port)/"
                let requests = [
                    HTTPClientRequest("ftp://a"), HTTPClientRequest("http://a b"),
                    HTTPClientRequest(url, method: "GE T"),
                    HTTPClientRequest(url, headers: ["A\r\nB": "c"]), HTTPClientRequest(url, headers: ["A": "b\nc"]),
                    HTTPClientRequest(url, method: ""), HTTPClientRequest(url, body: .stream(Pieces([]), length: -1)),
                ]
                for request in requests {
                    let error = await #expect(throws: ClientError.self) { _ = try await client.execute(request) }
                    #expect(error?.code == .invalidArgument)
                }
                let unsupported = await #expect(throws: ClientError.self) {
                    _ = try await client.execute(HTTPClientRequest(url, method: "CONNECT"))
                }
                #expect(unsupported?.code == .invalidArgument)
                let text = try await client.get(url).body.text(upTo: 100)
                #expect(text == "hello")
                let refused = await #expect(throws: ClientError.self) {
                    _ = try await client.get("http://127.0.0.1:1/")
                }
                #expect(refused?.code == .refused)
            }
        }

        #if TLS
        @Test func overTLS() async throws {
            let folder = try TLSFolder("one")
            defer { withExtendedLifetime(folder) {} }
            let (authority, certificate) = (folder["authority.pem"], folder.certificate("one"))
            try await ClientRun.run(
                .echo, .process,
                {
                    $0.certificate = certificate
                    $0.clientAuthorities = authority
                }
            ) { port in
                let stranger = HTTPClient {
                    $0.tls = ClientTLS(trust: .authorities(.file(authority)), serverName: "one")
                }
                let client = HTTPClient {
                    $0.tls = stranger.settings.tls
                    $0.tls.identity = .init(chain: .file(certificate.chain), privateKey: .file(certificate.key))
                }
                // In TLS 1.3 the server refuses the client when that has sent its request.
                let refused = await #expect(throws: ClientError.self) {
                    _ = try await stranger.get("https://127.0.0.1:\(port)/")
                }
                #expect(refused != nil)
                for _ in 0..<3 {
                    let text = try await client.get("https://127.0.0.1:\(port)/secure").body.text(upTo: 100)
                    #expect(text == "true true")
                }
                let error = await #expect(throws: ClientError.self) {
                    _ = try await HTTPClient().get("https://127.0.0.1:\(port)/")
                }
                #expect(error?.code == .tls)
                // The server knows the authority of its clients, and sends its certificate with its own.
                let cause = error?.message ?? ""
                #expect(cause.hasSuffix("self-signed certificate in certificate chain"), "\(cause)")
            }
        }
        #endif

        // MARK: Other servers

        #if HTTP2
        static let versions = [ClientHTTP2.never, .always]
        #else
        static let versions = [ClientHTTP2.never]
        #endif

        @Test(arguments: ["HTTP/1.0", "HTTP/1.1"]) func pythonsServer(_ version: String) async throws {
            try await ClientRun.alone {
                let folder = try WebFolder()
                let server = Process()
                let output = Pipe()
                server.executableURL = URL(fileURLWithPath: "/usr/bin/env")
                server.arguments = [
                    "python3", "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--protocol", version,
                    "--directory", folder.path,
                ]
                server.standardOutput = output
                server.standardError = FileHandle.nullDevice
                try server.run()
                defer {
                    kill(server.processIdentifier, SIGKILL)  // other signals may be blocked, as in this process
                    server.waitUntilExit()
                }
                let line = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
                let words = line.split(separator: " ")
                let index = try #require(words.firstIndex(of: "port"))
                let port = try #require(Int(words[index + 1]))
                try ClientRun.wait { try await folder.check("http://127.0.0.1:\(port)") }
            }
        }

        @Test(
            .enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/sbin/nginx")),
            arguments: HTTPClientTests.versions)
        func nginx(_ http2: ClientHTTP2) async throws {
            try await ClientRun.alone {
                let folder = try WebFolder()
                let socket = folder.path + "/socket"
                let configuration = """
                    daemon off; master_process off; error_log /dev/null; pid \(folder.path)/pid; events {}
                    http {
                      access_log off; client_body_temp_path \(folder.path)/body; types { text/plain txt; } default_type application/octet-stream;
                      proxy_temp_path \(folder.path)/proxy; fastcgi_temp_path \(folder.path)/fastcgi;
                      uwsgi_temp_path \(folder.path)/uwsgi; scgi_temp_path \(folder.path)/scgi;
                      server {
                        listen unix:\(socket)\(http2 == .always ? " http2" : ""); root \(folder.path); gzip on; gzip_types text/plain; gzip_min_length 1;
                        location /moved { return 302 /small.txt; }
                      }
                    }
                    """
                try configuration.write(toFile: folder.path + "/nginx.conf", atomically: false, encoding: .utf8)
                let server = Process()
                server.executableURL = URL(fileURLWithPath: "/usr/sbin/nginx")
                server.arguments = ["-c", folder.path + "/nginx.conf", "-p", folder.path]
                server.standardError = FileHandle.nullDevice
                try server.run()
                defer {
                    kill(server.processIdentifier, SIGKILL)  // other signals may be blocked, as in this process
                    server.waitUntilExit()
                }
                try Wait.until("nginx") { FileManager.default.fileExists(atPath: socket) }
                try ClientRun.wait {
                    try await folder.check("http://localhost", socket: socket, http2: http2)
                    var request = HTTPClientRequest("http://localhost/moved")
                    request.unixSocket = socket
                    let client = HTTPClient { $0.http2 = http2 }
                    let moved = try await client.execute(request)
                    #expect(moved.url == "http://localhost/small.txt")
                    let text = try await moved.body.text(upTo: 100)
                    #expect(text == "hello")
                    #if Deflate
                    #expect(moved.header("Content-Encoding") == "gzip")
                    #endif
                }
            }
        }
    }
}

/// The pieces of a body.
struct Pieces: AsyncSequence, Sendable {
    struct Broken: Error {}

    let pieces: [[UInt8]]
    var fails = false

    init(_ pieces: [[UInt8]], fails: Bool = false) {
        self.pieces = pieces
        self.fails = fails
    }

    func makeAsyncIterator() -> Iterator { Iterator(rest: pieces[...], fails: fails) }

    struct Iterator: AsyncIteratorProtocol {
        var rest: ArraySlice<[UInt8]>
        let fails: Bool

        mutating func next() async throws -> [UInt8]? {
            await Task.yield()
            if rest.isEmpty, fails { throw Broken() }
            return rest.popFirst()
        }
    }
}

/// A folder with files for a web server.
private final class WebFolder: Sendable {
    let path = NSTemporaryDirectory() + "/swift-server-web-" + UUID().uuidString
    private let large = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 7 >> 3) }

    init() throws {
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        try Data("hello".utf8).write(to: URL(fileURLWithPath: path + "/small.txt"))
        try Data(large).write(to: URL(fileURLWithPath: path + "/large.bin"))
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func check(_ url: String, socket: String? = nil, http2: ClientHTTP2 = .never) async throws {
        let client = HTTPClient { $0.http2 = http2 }
        func get(_ path: String, _ method: String = "GET") async throws -> HTTPClientResponse {
            var request = HTTPClientRequest(url + path, method: method)
            request.unixSocket = socket
            return try await client.execute(request)
        }
        for _ in 0..<3 {
            let small = try await get("/small.txt").body.text(upTo: 100)
            #expect(small == "hello")
            let whole = try await get("/large.bin").body.collect(upTo: 3_000_000)
            #expect(whole == large)
            let head = try await get("/large.bin", "HEAD")
            #expect(head.status == 200 && head.header("Content-Length") == "3000000")
            let missing = try await get("/missing")
            #expect(missing.status == 404)
            let page = try await missing.body.text(upTo: 10_000)
            #expect(page.contains("404"))
        }
    }
}
