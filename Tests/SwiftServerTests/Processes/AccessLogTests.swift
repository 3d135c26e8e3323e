import Glibc
import SwiftServer
import SwiftServerTesting
import TestProtocol
import Testing

extension ProcessTests {
    /// Lines of access logs.
    @Suite struct AccessLogTests {
        private struct Failure: Error {}

        private static func makeServer(_ log: AccessLog) -> WebSocketServer {
            let server = WebSocketServer(port: 0, mode: .single)
            server.settings.logLevel = .none
            server.use(log)
            server.get("/a") { _, response in response.end("hello") }
            server.get("/pieces") { _, response in
                try await response.write("one")
                await Task.yield()
                try await response.write("two")
                response.end()
            }
            server.get("/fails") { (_, _) throws in throw Failure() }
            server.onMessage { server, frame in server.push(frame, to: frame.fd) }
            return server
        }

        /// The lines that requests leave, without the time.
        private static func lines(
            _ format: AccessLog.Format, skip: (@Sendable (AccessLog.Entry) -> Bool)? = nil, listens: Bool = false,
            _ body: (TestClient) async throws -> Void
        ) async throws -> [String] {
            let folder = try Folder()
            let log = AccessLog(format, file: folder.file("access"), skip: skip)
            try await withServer(makeServer(log), listens: listens, body)
            let text = folder.text("access")
            #expect(text.isEmpty || text.hasSuffix("\n"))
            return text.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map { line in
                let line = String(line)
                guard let start = line.firstIndex(of: "["), let end = line.firstIndex(of: "]") else { return line }
                let date = line[start...end]
                #expect(date.wholeMatch(of: /\[\d\d\/[A-Z][a-z]{2}\/\d{4}:\d\d:\d\d:\d\d \+0000\]/) != nil, "\(date)")
                return line.replacing(date, with: "[]")
            }
        }

        @Test func commonLines() async throws {
            let lines = try await AccessLogTests.lines(.common, listens: true) { client in
                _ = try await client.get("/a?x=1", fields: [("User-Agent", "test")])
                _ = try await client.get("/pieces")
                _ = try await client.request("HEAD", "/a")
                _ = try await client.post("/a", "")
                _ = try await client.get("/none")
                _ = try await client.get("/fails")
                let socket = try await client.webSocket("/chat")
                #expect(try await socket.ask("hello") == "hello")
                let connection = try await client.connect()
                try await connection.send("GET /a HTTP/1.0\r\n\r\n")
                _ = try await connection.receiveRest()
            }
            #expect(
                lines == [
                    "127.0.0.1 - - [] \"GET /a?x=1 HTTP/1.1\" 200 5",
                    "127.0.0.1 - - [] \"GET /pieces HTTP/1.1\" 200 6",
                    "127.0.0.1 - - [] \"HEAD /a HTTP/1.1\" 200 5",
                    "127.0.0.1 - - [] \"POST /a HTTP/1.1\" 405 19",
                    "127.0.0.1 - - [] \"GET /none HTTP/1.1\" 404 10",
                    "127.0.0.1 - - [] \"GET /fails HTTP/1.1\" 500 22",
                    "127.0.0.1 - - [] \"GET /chat HTTP/1.1\" 101 -",
                    "127.0.0.1 - - [] \"GET /a HTTP/1.0\" 200 5",
                ])
        }

        /// Whatever a client sends, a line stays one line, and a field one field.
        @Test func clientsCannotForgeLines() async throws {
            let agent = "a\" 200 \\ \u{7F}\u{1B}[2J\u{85}é\t\u{1}"
            let fields = [("User-Agent", "a\" 200 \\ é\t\u{85}"), ("Referer", "\"")]
            let combined = try await AccessLogTests.lines(.combined) { client in
                _ = try await client.get("/a", fields: fields)
                _ = try await client.get("/\"%0a\\\u{E9}")
            }
            #expect(combined.first == #"- - - [] "GET /a HTTP/1.1" 200 5 "\"" "a\" 200 \\ \xc3\xa9\x09\xc2\x85""#)
            #expect(combined.count <= 2)
            #expect(combined.allSatisfy { $0.utf8.allSatisfy { (0x20...0x7E).contains($0) } })
            let json = try await AccessLogTests.lines(.json) { client in
                _ = try await client.get("/a", fields: fields)
            }
            #expect(json.count == 1)
            let decoded = try await AccessLogTests.lines(.json) { client in
                _ = try await client.get("/a", fields: [("Referer", "\u{1F600}\tx\"\\"), ("User-Agent", "\"\\/~")])
            }
            #expect(
                decoded.first?.contains(#""referer":"\ud83d\ude00\u0009x\"\\","userAgent":"\"\\/~","requestID":"#)
                    == true)
            #expect(json.first?.contains(#""userAgent":"a\" 200 \\ \u00e9\u0009\u0085","requestID":"#) == true)
            let custom = try await AccessLogTests.lines(.custom { "\($0.outcome.status)\n\(agent)" }) { client in
                _ = try await client.get("/a")
            }
            #expect(custom == [#"200\x0aa" 200 \ \x7f\x1b[2J\xc2\x85\xc3\xa9\x09\x01"#])
        }

        @Test func linesOfJSON() async throws {
            let lines = try await AccessLogTests.lines(.json, listens: true) { client in
                _ = try await client.get("/a?x=\"", fields: [("Host", "shop.example"), ("Referer", "http://b/")])
                _ = try await client.get("/none")
            }
            let entry = try #require(lines.first)
            let wanted =
                #/
                {"time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z","address":"127\.0\.0\.1","method":"GET",
                "target":"/a\?x=(?:\\"|%22)","protocol":"HTTP/1\.1","host":"shop\.example","status":200,"bytes":5,
                "duration":\d+\.\d{6},"referer":"http://b/","userAgent":null,"requestID":"[0-9a-f]{32}","complete":true}
                /#
            #expect(entry.wholeMatch(of: wanted) != nil, "\(entry)")
            #expect(lines.count == 2 && lines[1].contains("\"status\":404"))
        }

        @Test func responsesMayBeSkipped() async throws {
            let lines = try await AccessLogTests.lines(
                .custom { "\($0.request.path) \($0.duration >= .zero) \($0.time > 1e9) \($0.clientAddress)" },
                skip: { $0.request.path == "/a" && $0.outcome.status == 200 }
            ) { client in
                _ = try await client.get("/a")
                _ = try await client.get("/none")
            }
            #expect(lines == ["/none true true "])
        }

        @Test func theServersLogMayHaveTheLines() async throws {
            try await withServer(AccessLogTests.makeServer(AccessLog(.common)), listens: false) { client in
                _ = try await client.get("/a")
                #expect(
                    client.log.lines.contains {
                        $0.level == .notice && $0.message.hasSuffix("\"GET /a HTTP/1.1\" 200 5")
                    })
            }
        }

        @Test func aFileThatCannotBeWrittenIsAnError() throws {
            let server = AccessLogTests.makeServer(AccessLog(file: "/no-such-folder/access"))
            let error = #expect(throws: ServerError.self) { try server.start() }
            #expect(error?.message.hasPrefix("cannot write the log file \"/no-such-folder/access\"") == true)
        }

        /// All workers write to the file, and open it again when it was renamed.
        @Test func workersShareTheFile() throws {
            let folder = try Folder()
            try ServerProcess.run(.middleware, .process, workers: 2) {
                $0.folder = folder.path
            } test: { server in
                for count in 1...4 {
                    #expect(try Connection(port: server.port).get("/\(count)").status == 200)
                }
                try Wait.until("the lines of all requests") {
                    (1...4).allSatisfy { folder.text("access").contains("127.0.0.1 GET /\($0) 200\n") }
                }
                folder.rename("access", to: "access.1")
                server.signal(SIGHUP)
                var count = 0
                try Wait.until("lines in the new file") {
                    count += 1
                    _ = try Connection(port: server.port).get("/new/\(count)")
                    return folder.text("access").contains("127.0.0.1 GET /new/\(count) 200\n")
                }
                let lines = (folder.text("access.1") + folder.text("access")).split(separator: "\n")
                #expect(lines.count == 4 + count && Set(lines).count == lines.count)
            }
        }
    }
}
