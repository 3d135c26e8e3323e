import Foundation
import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// Requests and responses as web applications use them, through sockets.
    @Suite struct WebTests {
        @Test(arguments: ServerMode.allCases) func typesAndFields(_ mode: ServerMode) async throws {
            try await ClientRun.run(.web, mode) { port in
                let client = HTTPClient { $0.maxRedirects = 0 }
                let url = "http://127.0.0.1:\(port)"
                for (path, types) in [
                    ("/text", ["text/plain; charset=utf-8"]), ("/typed", ["text/html"]), ("/bytes", []),
                    ("/redirect", []),
                ] {
                    let found = try await client.get(url + path).headers.all("Content-Type")
                    #expect(found == types, "\(path)")
                }
                let head = try await client.head(url + "/text")
                #expect(head.headers.all("Content-Type") == ["text/plain; charset=utf-8"])
                let response = try await client.get(url + "/headers")
                let text = try await response.body.text(upTo: 100)
                #expect(response.status == 201 && text == "4 1 201")
                #expect(response.headers.all("X-A") == ["4"] && response.headers.all("X-B") == [])
                let cookies = try await client.get(url + "/cookie").headers.all("Set-Cookie")
                #expect(
                    cookies.count == 3 && cookies[0] == "a=1; Path=/; HttpOnly; SameSite=Lax" && cookies[1] == "b=2")
                #expect(cookies[2].hasPrefix("c=; Expires=Thu, 01 Jan 1970") && cookies[2].contains("Max-Age=0"))
                let redirect = try await client.get(url + "/redirect?to=/a%20b")
                #expect(redirect.status == 303 && redirect.headers.all("Location") == ["/a%20b"])
                // A handler whose target is refused has not answered.
                let split = try await client.get(url + "/redirect?to=/%0D%0AX:%20y")
                #expect(split.status == 500 && split.headers["Location"] == nil && split.headers["X"] == nil)
                let followed = try await HTTPClient().get(url + "/redirect?to=/text")
                #expect(followed.status == 200 && followed.url == url + "/text")
            }
        }

        @Test(arguments: ServerMode.allCases) func conditions(_ mode: ServerMode) throws {
            try ServerProcess.run(.web, mode) { server in
                let connection = try Connection(port: server.port)
                let response = try connection.get("/versioned")
                #expect(response.body == "version 1" && response.all("ETag") == ["\"v1\""])
                #expect(response.all("Last-Modified") == ["Sun, 06 Nov 1994 08:49:37 GMT"])
                let same = try connection.get("/versioned", method: "HEAD", fields: "If-None-Match: W/\"v1\"\r\n")
                #expect(same.status == 304 && same.all("ETag") == ["\"v1\""])
                let date = "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                try connection.sendRequest("/versioned", fields: date)
                #expect(try connection.takeResponse(hasBody: false).status == 304)
                #expect(try connection.get("/versioned", method: "PUT", fields: "If-Match: \"v0\"\r\n").status == 412)
                #expect(try connection.get("/versioned", fields: "If-None-Match: \"v0\"\r\n").body == "version 1")
            }
        }

        @Test(arguments: ServerMode.allCases) func clientsBehindProxies(_ mode: ServerMode) throws {
            try ServerProcess.run(.web, mode) { server in
                let connection = try Connection(port: server.port)
                let plain = try connection.get("/client").body.split(separator: " ")
                #expect(plain.dropLast() == ["127.0.0.1", "http", "localhost"])
                #expect(plain.last?.count == 32)
                let fields =
                    "X-Forwarded-For: 1.1.1.1, 192.0.2.1, 10.0.0.9\r\nX-Forwarded-Proto: https\r\n"
                    + "X-Forwarded-Host: example.com\r\nX-Request-Id: abc-1\r\n"
                #expect(try connection.get("/client", fields: fields).body == "192.0.2.1 https example.com abc-1")
                let other = try connection.get("/client", fields: "X-Request-Id: a b\r\n").body.split(separator: " ")
                #expect(other.last?.count == 32 && other.last != plain.last)
            }
        }

        @Test(arguments: ServerMode.allCases) func trailers(_ mode: ServerMode) async throws {
            try await ClientRun.run(.web, mode) { port in
                let connection = try Connection(port: port)
                try connection.sendRequest("/trailers", fields: "TE: gzip, Trailers;q=1\r\n")
                let head = try #require(try connection.take(through: "\r\n\r\n"))
                #expect(head.contains("Transfer-Encoding: chunked") && head.contains("\r\nTrailer: X-Sum\r\n"))
                let body = try connection.take(through: "\r\n\r\n")
                #expect(body == "3\r\nabc\r\n10\r\naccepted invalid\r\n0\r\nX-Sum: 6\r\n\r\n")
                let client = HTTPClient()
                for (target, fields, text, sum) in [
                    ("/trailers", ["TE": "trailers"], "abcaccepted invalid", "6"),
                    ("/trailers?whole=1", ["TE": "trailers"], "accepted invalid", "6"),
                    ("/trailers?whole=1", [:], "unsupported unsupported", nil),
                ] as [(String, HTTPClient.Fields, String, String?)] {
                    let response = try await client.get("http://127.0.0.1:\(port)" + target, headers: fields)
                    let received = try await response.body.text(upTo: 100)
                    #expect(received == text && response.trailers["x-sum"] == sum)
                }
                let old = try Connection(port: port)
                try old.send("GET /trailers HTTP/1.0\r\nHost: a\r\nTE: trailers\r\n\r\n")
                let rest = String(decoding: try old.takeRest(), as: UTF8.self)
                #expect(rest.hasSuffix("\r\n\r\nabcunsupported unsupported"))
            }
        }

        @Test(arguments: ServerMode.allCases) func aWriterWaitsForASlowClient(_ mode: ServerMode) throws {
            try ServerProcess.run(.web, mode, { $0.maxQueue = 1 << 20 }) { server in
                let connection = try Connection(port: server.port)
                try connection.sendRequest("/stream?pieces=3200")
                // The handler waits meanwhile, and others are served.
                let other = try Connection(port: server.port)
                #expect(try other.get("/text").body == "text")
                #expect(try other.get("/outcomes").body == "200 4 true")
                _ = try connection.take(through: "\r\n\r\n")
                for index in 0..<3200 {
                    guard try connection.take(through: "\r\n") == "10000\r\n", try connection.take(65_538) != nil else {
                        Issue.record("piece \(index) is missing")
                        return
                    }
                }
                #expect(try connection.take(through: "\r\n\r\n") == "0\r\n\r\n")
                let outcomes = try other.get("/outcomes").body
                #expect(outcomes == "200 209715200 true")
            }
        }

        @Test(arguments: ServerMode.allCases) func aWriterNoticesThatItsClientHasLeft(_ mode: ServerMode) throws {
            try ServerProcess.run(.web, mode, { $0.maxQueue = 1 << 20 }) { server in
                let connection = try Connection(port: server.port)
                try connection.sendRequest("/stream?pieces=100000")
                _ = try connection.take(through: "\r\n\r\n")
                connection.reset()
                let other = try Connection(port: server.port)
                var outcomes = ""
                try Wait.until("the end of the response") {
                    outcomes = try other.get("/outcomes").body
                    return !outcomes.isEmpty
                }
                #expect(outcomes.hasPrefix("200 ") && outcomes.hasSuffix(" false"))
            }
        }

        @Test(arguments: ServerMode.allCases) func handlersHaveADeadline(_ mode: ServerMode) throws {
            try ServerProcess.run(.web, mode) { server in
                let connection = try Connection(port: server.port)
                #expect(try connection.get("/late").status == 503)
                #expect(server.log.contains("was not answered in time"))
                #expect(try connection.get("/late?on-time=1").body == "in time")
                #expect(try connection.get("/outcomes").body == "503 20 true, 200 7 true")
            }
        }

        @Test(arguments: ServerMode.allCases) func eventsAreSent(_ mode: ServerMode) throws {
            try ServerProcess.run(.web, mode) { server in
                let connection = try Connection(port: server.port)
                try connection.sendRequest("/events", fields: "Last-Event-ID: 0\r\n")
                let head = try #require(try connection.take(through: "\r\n\r\n"))
                #expect(head.contains("Content-Type: text/event-stream\r\n"))
                #expect(head.contains("Cache-Control: no-cache\r\n"))
                #expect(
                    try connection.take(through: "\r\n\r\n")
                        == "3\r\n:\n\n\r\n3a\r\nevent: first\nid: 1\nretry: 2000\ndata: last 0\ndata: line 2\n\n\r\n0\r\n\r\n"
                )
                // One that is kept gets comments and events.
                try connection.sendRequest("/events?keep=1")
                _ = try connection.take(through: "line 2\n\n\r\n")
                #expect(try connection.take(through: "\n\n\r\n") == "3\r\n:\n\n\r\n")
                let other = try Connection(port: server.port)
                #expect(try other.get("/broadcast").body == "1 of 1, 1 closed")
                #expect(try connection.take(through: "to all\n\n\r\n") != nil)
                connection.reset()
                try Wait.until("the end of the stream") {
                    try other.get("/broadcast").body == "0 of 1, 2 closed"
                }
                // A stream does not hold up a stop.
                let last = try Connection(port: server.port)
                try last.sendRequest("/events?keep=1")
                _ = try last.take(through: "line 2\n\n\r\n")
                try server.stop()
                #expect(String(decoding: try last.takeRest(), as: UTF8.self).hasSuffix("0\r\n\r\n"))
            }
        }

        private static func upload(_ size: Int) -> [UInt8] {
            let head =
                "--X\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\n--X\r\nContent-Disposition: form-data; "
                + "name=\"file\"; filename=\"../../etc/passwd\"\r\n\r\n"
            return [UInt8](head.utf8) + (0..<size).map { UInt8($0 % 251) } + [UInt8]("\r\n--X--\r\n".utf8)
        }

        private static func send(_ upload: [UInt8], _ target: String, on connection: Connection) throws {
            try connection.send(
                "POST \(target) HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=X\r\n"
                    + "Content-Length: \(upload.count)\r\n\r\n")
            try connection.send(upload)
        }

        @Test(arguments: ServerMode.allCases, [false, true])
        func uploadsAreStored(_ mode: ServerMode, _ isStreamed: Bool) throws {
            let folder = try Folder()
            try ServerProcess.run(.web, mode, { $0.isAsync = isStreamed }) { server in
                func names() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: folder.path) }
                let connection = try Connection(port: server.port)
                let target = "/upload?folder=\(folder.path)"
                let size = 3_000_000
                try WebTests.send(WebTests.upload(size), target + "&keep=kept", on: connection)
                #expect(try connection.takeResponse().body == "a=one, file \(size)")
                #expect(try names() == ["kept"])
                let kept = FileManager.default.contents(atPath: folder.file("kept"))
                #expect(kept == Data((0..<size).map { UInt8($0 % 251) }))
                // Files that nobody keeps are removed with the request.
                try WebTests.send(WebTests.upload(1000), target, on: connection)
                #expect(try connection.takeResponse().body == "a=one, file 1000")
                try Wait.until("the removal of the file") { try names() == ["kept"] }
            }
        }

        @Test(arguments: ServerMode.allCases, [false, true])
        func uploadsThatAreRefused(_ mode: ServerMode, _ isStreamed: Bool) throws {
            let folder = try Folder()
            try ServerProcess.run(.web, mode, { $0.isAsync = isStreamed }) { server in
                let target = "/upload?folder=\(folder.path)"
                func status(_ upload: [UInt8], _ target: String) throws -> Int {
                    let connection = try Connection(port: server.port)
                    try WebTests.send(upload, target, on: connection)
                    return try connection.takeResponse().status
                }
                #expect(try status(WebTests.upload((20 << 20) + 1), target) == 413)
                #expect(try status([UInt8](WebTests.upload(100).dropLast(6)), target) == 400)
                #expect(try status(WebTests.upload(100), "/upload") == 500)
                let connection = try Connection(port: server.port)
                #expect(try connection.get(target, method: "POST", body: "a").status == 415)
                let type = "Content-Type: application/x-www-form-urlencoded\r\n"
                #expect(try connection.get("/form", method: "POST", fields: type, body: "a=b+c").body == "b c")
                let large = String(repeating: "a", count: 101)
                #expect(try connection.get("/form", method: "POST", fields: type, body: large).status == 413)
                #expect(try connection.get("/form", method: "POST", body: "a=b").status == 415)
                try Wait.until("the removal of the files") {
                    try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty
                }
            }
        }
    }
}
