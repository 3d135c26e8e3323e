import Foundation
import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// What becomes of a response, whatever the handler does with it.
    @Suite struct ResponseTests {
        /// The answer to each page.
        static let answers: [(page: Page, status: Int, body: String)] = [
            (.nothing, 500, ""), (.later(.milliseconds(30)), 200, "later"), (.dropped, 204, ""),
            (.droppedElsewhere, 500, ""),
            (.status(418), 418, "accepted"), (.status(199), 200, "invalid"), (.status(1000), 200, "invalid"),
        ]

        @Test(arguments: ServerMode.supervised) func everyRequestIsAnsweredOnce(_ mode: ServerMode) throws {
            try ServerProcess.run(.general, mode) { server in
                let connection = try Connection(port: server.port)
                for (page, status, body) in ResponseTests.answers {
                    let response = try connection.get(page)
                    #expect(response.status == status, "\(page)")
                    #expect(response.body == body, "\(page)")
                    #expect(response.all("Date").count == 1, "\(page)")
                }
                #expect(try connection.get(.droppedElsewhere).all("X-Kept") == ["1"])
                #expect(server.log.contains("a handler has released its response without responding"))
                #expect(try connection.get(.endTwice).body == "first")
                #expect(try server.event(.lateResponse) == .lateResponse(["ended", "ended", "ended", "ended"]))
                // Nothing more than these came.
                #expect(try connection.get("/").body == "hello")
            }
        }

        @Test(arguments: ServerMode.supervised) func headHasTheLengthAndNoBody(_ mode: ServerMode) throws {
            try ServerProcess.run(.general, mode) { server in
                let connection = try Connection(port: server.port)
                let response = try connection.get("/", method: "HEAD")
                #expect(response.status == 200 && response.all("Content-Length") == ["5"])
                #expect(try connection.get("/").body == "hello")
            }
        }

        @Test(arguments: ServerMode.supervised) func pipelinedRequestsAreAnsweredInOrder(_ mode: ServerMode) throws {
            try ServerProcess.run(.general, mode, workers: 2) { server in
                let connection = try Connection(port: server.port)
                let later = [50, 1].map { Page.later(.milliseconds($0)).target }
                let targets = [later[0], "/", Page.nothing.target, later[1], "/missing"]
                let requests = targets.map { "GET \($0) HTTP/1.1\r\nHost: localhost\r\n\r\n" }
                try connection.send(requests.joined())
                let bodies = try targets.map { _ in try connection.takeResponse().body }
                #expect(bodies == ["later", "hello", "", "later", "not found"])
            }
        }

        @Test(arguments: ServerMode.supervised) func asyncHandlersAnswerInOrder(_ mode: ServerMode) throws {
            try ServerProcess.run(.async, mode) { server in
                let connection = try Connection(port: server.port)
                let other = try Connection(port: server.port)
                try connection.sendRequest(.name("first", after: .milliseconds(100)))
                try connection.sendRequest(.name("second"))
                #expect(try other.get(.name("other")).body == "other")
                #expect(try connection.takeResponse().body == "first")
                #expect(try connection.takeResponse().body == "second")
            }
        }

        @Test(arguments: ServerMode.supervised) func asyncHandlersOfOneClientOverlap(_ mode: ServerMode) throws {
            try ServerProcess.run(.async, mode) { server in
                let connection = try Connection(port: server.port)
                // Each of the first 31 waits for the last one.
                let targets = (0..<31).map { _ in Page.hold().target } + [Page.release.target]
                let requests = targets.map { "GET \($0) HTTP/1.1\r\nHost: localhost\r\n\r\n" }
                try connection.send(requests.joined())
                for _ in 0..<31 { #expect(try connection.takeResponse().body == "hold") }
                #expect(try connection.takeResponse().body == "release")
                // What may change something waits for its turn.
                try connection.sendRequest(.name("first", after: .milliseconds(30)))
                try connection.sendRequest(.release, method: "POST")
                try connection.sendRequest(.hold(after: .milliseconds(1)))
                try connection.sendRequest(.release)
                for name in ["first", "release", "hold", "release"] {
                    #expect(try connection.takeResponse().body == name)
                }
            }
        }

        @Test(arguments: ServerMode.supervised) func bodiesComeInPieces(_ mode: ServerMode) throws {
            try ServerProcess.run(.general, mode) { server in
                let connection = try Connection(port: server.port)
                let response = try connection.get(.pieces)
                #expect(response.status == 200 && response.all("X-Kept") == ["1"] && response.all("X-Late") == [])
                #expect(response.all("Transfer-Encoding") == ["chunked"] && response.all("Content-Length") == [])
                let last = "accepted accepted accepted begun begun begun"
                let chunks = "4\r\none \r\n4\r\ntwo \r\n2c\r\n\(last)\r\n0\r\n\r\n"
                #expect(try connection.take(through: "\r\n0\r\n\r\n") == chunks)
                // Dropped without an end, it is ended.
                try connection.sendRequest(.slowPieces)
                try connection.sendRequest("/")
                _ = try connection.takeResponse()
                let digits = "1\r\n0\r\n1\r\n1\r\n1\r\n2\r\n0\r\n\r\n"
                #expect(try connection.take(through: "2\r\n0\r\n\r\n") == digits)
                #expect(try connection.takeResponse().body == "hello")
                // A worker that dies half-way leaves a body that is seen to be cut off.
                try connection.sendRequest(.cutOff)
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
            try ServerProcess.run(.general, mode) { server in
                let connection = try Connection(port: server.port)
                #expect(try connection.get(.file(file.path)).body == text)
                #expect(try connection.get(.file(file.path, offset: 2, length: 4)).body == "1,2,")
                #expect(try connection.get(.file(file.path, offset: 99_999_999)).status == 500)
                #expect(try connection.get(.file(file.path + ".missing")).status == 404)
                #expect(try connection.get(.file("/")).status == 404)
                // What cannot be a path is refused, and the response ends by itself.
                let refused = try connection.get(.file(""))
                #expect(refused.status == 500 && refused.body == "")
                #expect(try connection.get(.file(file.path), method: "HEAD").body == "")
                #expect(try connection.get("/").body == "hello")
            }
        }

        @Test(arguments: ServerMode.supervised) func cookiesInBothDirections(_ mode: ServerMode) throws {
            try ServerProcess.run(.general, mode) { server in
                let response = try Connection(port: server.port).get(
                    Page.cookies.target, fields: "Cookie: a=1; b=2; a=3\r\n")
                #expect(response.all("Set-Cookie") == ["a=1", "b=2"])
                #expect(response.body == "a=1b=2")
            }
        }

        @Test(arguments: ServerMode.supervised) func fieldsThatWouldBreakTheResponseAreRefused(_ mode: ServerMode)
            throws
        {
            try ServerProcess.run(.general, mode) { server in
                let response = try Connection(port: server.port).get(.refusedFields)
                #expect(response.body == "invalid invalid invalid invalid invalid full accepted")
                #expect(response.all("X-Good") == ["yes"])
                #expect(response.fields.allSatisfy { !$0.name.contains("Evil") && $0.name != "X-Injected" })
            }
        }

        @Test(arguments: ServerMode.supervised) func clientThatLeavesBeforeTheAnswerHarmsNobody(_ mode: ServerMode)
            throws
        {
            try ServerProcess.run(.general, mode) { server in
                let leaving = try Connection(port: server.port)
                try leaving.sendRequest(.later(.milliseconds(50)))
                leaving.reset()
                let connection = try Connection(port: server.port)
                #expect(try connection.get(.later(.milliseconds(100))).body == "later")
                try server.stop()
                #expect(server.events(.workerStart).count == 1)
            }
        }
    }
}
