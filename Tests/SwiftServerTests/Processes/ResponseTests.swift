import Foundation
import SwiftServer
import Testing

extension ProcessTests {
    /// What becomes of a response, whatever the handler does with it.
    @Suite struct ResponseTests {
        /// Each target, and what is answered.
        static let answers: [(target: String, status: Int, body: String)] = [
            ("/nothing", 200, ""), ("/later?ms=30", 200, "later"), ("/dropped", 204, ""),
            ("/droppedElsewhere", 200, ""),
            ("/status?code=418", 418, "true"), ("/status?code=199", 200, "false"), ("/status?code=1000", 200, "false"),
        ]

        @Test(arguments: ServerMode.supervised) func everyRequestIsAnsweredOnce(_ mode: ServerMode) throws {
            try ServerProcess.run("general", mode) { server in
                let connection = try Connection(port: server.port)
                for (target, status, body) in ResponseTests.answers {
                    let response = try connection.get(target)
                    #expect(response.status == status, "\(target)")
                    #expect(response.body == body, "\(target)")
                    #expect(response.all("Date").count == 1, "\(target)")
                }
                #expect(try connection.get("/droppedElsewhere").all("X-Kept") == ["1"])
                #expect(try connection.get("/twice").body == "first")
                #expect(try server.line("second") == "second false false false")
                // Nothing more than these came.
                #expect(try connection.get("/").body == "hello")
            }
        }

        @Test(arguments: ServerMode.supervised) func headHasTheLengthAndNoBody(_ mode: ServerMode) throws {
            try ServerProcess.run("general", mode) { server in
                let connection = try Connection(port: server.port)
                let response = try connection.get("/", method: "HEAD")
                #expect(response.status == 200 && response.all("Content-Length") == ["5"])
                #expect(try connection.get("/").body == "hello")
            }
        }

        @Test(arguments: ServerMode.supervised) func pipelinedRequestsAreAnsweredInOrder(_ mode: ServerMode) throws {
            try ServerProcess.run("general", mode, workers: 2) { server in
                let connection = try Connection(port: server.port)
                let targets = ["/later?ms=50", "/", "/nothing", "/later?ms=1", "/missing"]
                let requests = targets.map { "GET \($0) HTTP/1.1\r\nHost: localhost\r\n\r\n" }
                try connection.send(requests.joined())
                let bodies = try targets.map { _ in try connection.takeResponse().body }
                #expect(bodies == ["later", "hello", "", "later", "not found"])
            }
        }

        @Test(arguments: ServerMode.supervised) func asyncHandlersAnswerInOrder(_ mode: ServerMode) throws {
            try ServerProcess.run("async", mode) { server in
                let connection = try Connection(port: server.port)
                let other = try Connection(port: server.port)
                try connection.sendRequest("/first?ms=100")
                try connection.sendRequest("/second")
                #expect(try other.get("/other").body == "async /other")
                #expect(try connection.takeResponse().body == "async /first")
                #expect(try connection.takeResponse().body == "async /second")
            }
        }

        @Test(arguments: ServerMode.supervised) func asyncHandlersOfOneClientOverlap(_ mode: ServerMode) throws {
            try ServerProcess.run("async", mode) { server in
                let connection = try Connection(port: server.port)
                // Each of the first 31 waits for the last one.
                let targets = (0..<31).map { _ in "/hold" } + ["/release"]
                let requests = targets.map { "GET \($0) HTTP/1.1\r\nHost: localhost\r\n\r\n" }
                try connection.send(requests.joined())
                for target in targets { #expect(try connection.takeResponse().body == "async \(target)") }
                // What may change something waits for its turn.
                try connection.sendRequest("/first?ms=30")
                try connection.sendRequest("/release", method: "POST")
                try connection.sendRequest("/hold?ms=1")
                try connection.sendRequest("/release")
                for path in ["/first", "/release", "/hold", "/release"] {
                    #expect(try connection.takeResponse().body == "async \(path)")
                }
            }
        }

        @Test(arguments: ServerMode.supervised) func bodiesComeInPieces(_ mode: ServerMode) throws {
            try ServerProcess.run("general", mode) { server in
                let connection = try Connection(port: server.port)
                let response = try connection.get("/pieces")
                #expect(response.status == 200 && response.all("X-Kept") == ["1"] && response.all("X-Late") == [])
                #expect(response.all("Transfer-Encoding") == ["chunked"] && response.all("Content-Length") == [])
                let last = "false true true false false false"
                let chunks = "4\r\none \r\n4\r\ntwo \r\n21\r\n\(last)\r\n0\r\n\r\n"
                #expect(try connection.take(through: "\r\n0\r\n\r\n") == chunks)
                // Dropped without an end, it is ended.
                try connection.sendRequest("/slowPieces")
                try connection.sendRequest("/")
                _ = try connection.takeResponse()
                let digits = "1\r\n0\r\n1\r\n1\r\n1\r\n2\r\n0\r\n\r\n"
                #expect(try connection.take(through: "2\r\n0\r\n\r\n") == digits)
                #expect(try connection.takeResponse().body == "hello")
                // A worker that dies half-way leaves a body that is seen to be cut off.
                try connection.sendRequest("/cutOff")
                _ = try connection.takeResponse()
                #expect(try connection.take(through: "one\r\n") == "3\r\none\r\n")
                #expect(try connection.take(1) == nil)
            }
        }

        @Test(arguments: ServerMode.supervised) func bodiesComeFromFiles(_ mode: ServerMode) throws {
            let file = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).txt")
            let text = String((0..<300_000).flatMap { "\($0)," })
            try text.write(to: file, atomically: true, encoding: .utf8)
            defer { try? FileManager.default.removeItem(at: file) }
            try ServerProcess.run("general", mode) { server in
                let connection = try Connection(port: server.port)
                #expect(try connection.get("/file?path=\(file.path)").body == text)
                #expect(try connection.get("/file?path=\(file.path)&offset=2&length=4").body == "1,2,")
                #expect(try connection.get("/file?path=\(file.path)&offset=99999999").status == 500)
                #expect(try connection.get("/file?path=\(file.path).missing").status == 404)
                #expect(try connection.get("/file?path=/").status == 404)
                // What cannot be a path is refused, and the response ends by itself.
                let refused = try connection.get("/file?path=")
                #expect(refused.status == 200 && refused.body == "")
                #expect(try connection.get("/file?path=\(file.path)", method: "HEAD").body == "")
                #expect(try connection.get("/").body == "hello")
            }
        }

        @Test(arguments: ServerMode.supervised) func cookiesInBothDirections(_ mode: ServerMode) throws {
            try ServerProcess.run("general", mode) { server in
                let response = try Connection(port: server.port).get("/cookies", fields: "Cookie: a=1; b=2; a=3\r\n")
                #expect(response.all("Set-Cookie") == ["a=1", "b=2"])
                #expect(response.body == "a=1b=2")
            }
        }

        @Test(arguments: ServerMode.supervised) func fieldsThatWouldBreakTheResponseAreRefused(_ mode: ServerMode)
            throws
        {
            try ServerProcess.run("general", mode) { server in
                let response = try Connection(port: server.port).get("/refused")
                #expect(response.body == "refused refused refused refused refused taken")
                #expect(response.all("X-Good") == ["yes"])
                #expect(response.fields.allSatisfy { !$0.name.contains("Evil") && $0.name != "X-Injected" })
            }
        }

        @Test(arguments: ServerMode.supervised) func clientThatLeavesBeforeTheAnswerHarmsNobody(_ mode: ServerMode)
            throws
        {
            try ServerProcess.run("general", mode) { server in
                let leaving = try Connection(port: server.port)
                try leaving.sendRequest("/later?ms=50")
                leaving.reset()
                let connection = try Connection(port: server.port)
                #expect(try connection.get("/later?ms=100").body == "later")
                try server.stop()
                #expect(server.lines("workerStart").count == 1)
            }
        }
    }
}
