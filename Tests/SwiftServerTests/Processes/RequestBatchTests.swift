import SwiftServer
import SwiftServerTesting
import Testing

extension ProcessTests {
    /// Pipelined requests whose handlers run in one task, whatever each of them does.
    @Suite struct RequestBatchTests {
        /// What the handlers have done, in order.
        @MainActor final class Record {
            var begun: [String] = []
            var kept: Response?
        }

        /// The form of the asynchronous handlers.
        enum Form: CaseIterable {
            case plain, middleware, straightLine

            /// The answers of a server whose handlers have the form.
            var answers: [String: (status: String, body: @Sendable (String) -> String)] {
                var answers = RequestBatchTests.answers
                if self == .straightLine {
                    // A handler that has returned has no answer any more.
                    answers["keeps"] = answers["fails"]
                    answers["forgets"] = answers["fails"]
                }
                return answers
            }
        }

        private struct Refusal: RequestError {
            let status = 418
            let message = "refused"
        }

        private struct Failure: Error {}

        /// The kinds of handlers, by the first word of the path; the second one is the number of the request.
        static let answers: [String: (status: String, body: @Sendable (String) -> String)] = [
            "sync": ("200", { "sync \($0)" }), "async": ("200", { "async \($0)" }), "later": ("200", { "later \($0)" }),
            "refuses": ("418", { _ in "refused" }), "fails": ("500", { _ in "Internal Server Error\n" }),
            "forgets": ("500", { _ in "" }), "cancels": ("200", { "cancels \($0)" }),
            "asks": ("200", { _ in "false" }), "keeps": ("200", { "kept \($0)" }), "task": ("200", { "task \($0)" }),
        ]

        @MainActor static func makeServer(_ record: Record, _ form: Form) -> HTTPServer {
            if form == .straightLine { return makeStraightLineServer(record) }
            let server = HTTPServer(port: 0, mode: .single)
            server.settings.logLevel = .none
            if form == .middleware {
                server.use { request, response, next in
                    response.header("X-Path", request.path)
                    try await next(request, response)
                }
                addSynchronous(server, record)
                server.get("/:kind/:n") { request, response in
                    try await RequestBatchTests.answer(request, record, { response.end($0) }, response)
                }
            } else {
                server.onRequest { request, response in
                    if !request.path.hasPrefix("/sync") { response.header("X-Path", request.path) }
                    try await RequestBatchTests.answer(request, record, { response.end($0) }, response)
                }
            }
            return server
        }

        @MainActor private static func makeStraightLineServer(_ record: Record) -> HTTPServer {
            let server = WebSocketServer(port: 0, mode: .single)
            server.settings.logLevel = .none
            addSynchronous(server, record)
            // A closure and straight-line handlers, one behind the other.
            server.get("/async/:n") { request, response in
                response.header("X-Path", request.path)
                try await RequestBatchTests.answer(request, record, { response.end($0) }, response)
            }
            server.handle("/:kind/:n") { request, ws in
                ws.header("X-Path", request.path)
                try await RequestBatchTests.answer(request, record, { ws.end($0) })
            }
            return server
        }

        @MainActor private static func addSynchronous(_ server: HTTPServer, _ record: Record) {
            server.get("/sync/:n") { request, response in
                record.begun.append(request.path)
                response.header("X-Path", request.path)
                response.end("sync \(request.parameters["n"] ?? "")")
            }
        }

        /// - Parameter kept: what is kept for an answer behind the handler.
        @MainActor private static func answer(
            _ request: Request, _ record: Record, _ end: @escaping @MainActor (String) -> Void, _ kept: Response? = nil
        ) async throws {
            record.begun.append(request.path)
            let parts = request.path.split(separator: "/")
            let (kind, n) = (parts[0], parts[1])
            switch kind {
            case "later":
                for _ in 0..<3 { await Task.yield() }
                end("later \(n)")
            case "refuses": throw Refusal()
            case "fails": throw Failure()
            case "forgets": break
            case "cancels":
                unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
                end("cancels \(n)")
            case "blocks":
                let deadline = ContinuousClock.now + .milliseconds(8)
                while ContinuousClock.now < deadline {}
                end("blocked")
            case "asks": end("\(Task.isCancelled)")
            case "keeps":
                record.kept = kept
                Task {
                    record.kept?.end("kept \(n)")
                    record.kept = nil
                }
            case "task":
                // A child task, which is not the one that asks for further requests.
                async let text = "task \(n)"
                end(await text)
            default: end("\(kind) \(n)")
            }
        }

        /// Sends the requests at once, the last one with `Connection: close`. Returns the status and the body of each
        /// response.
        private static func exchange(
            _ client: TestClient, _ paths: [String]
        ) async throws -> [(status: String, path: String, body: String)] {
            let connection = try await client.connect()
            let requests = paths.indices.map {
                "GET \(paths[$0]) HTTP/1.1\r\nHost: a\r\n\($0 == paths.count - 1 ? "Connection: close\r\n" : "")\r\n"
            }
            try await connection.send(requests.joined())
            var rest = String(decoding: try await connection.receiveRest(), as: UTF8.self)[...]
            var responses: [(status: String, path: String, body: String)] = []
            while let end = rest.firstRange(of: "\r\n\r\n") {
                let lines = rest[..<end.lowerBound].split(separator: "\r\n")
                func field(_ name: String) -> String {
                    lines.first { $0.lowercased().hasPrefix(name) }.map { String($0.dropFirst(name.count)) } ?? ""
                }
                let length = Int(field("content-length: ")) ?? 0
                let body = rest[end.upperBound...].utf8.prefix(length)
                responses.append((String(lines[0].dropFirst(9).prefix(3)), field("x-path: "), String(body) ?? ""))
                rest = rest[rest.utf8.index(end.upperBound, offsetBy: length)...]
            }
            return responses
        }

        private static func check(_ form: Form, _ kinds: [[String]]) async throws {
            let record = Record()
            try await withServer(await makeServer(record, form), listens: false) { client in
                for kinds in kinds {
                    await MainActor.run { record.begun = [] }
                    let paths = kinds.enumerated().map { "/\($1)/\($0)" }
                    let responses = try await exchange(client, paths)
                    #expect(await record.begun == paths, "\(kinds)")
                    #expect(responses.map(\.status) == kinds.map { form.answers[$0]?.status ?? "" }, "\(kinds)")
                    #expect(
                        responses.map(\.body) == kinds.enumerated().map { form.answers[$1]?.body("\($0)") ?? "" },
                        "\(kinds)")
                    // Each response has what was set for its own request.
                    for (response, path) in zip(responses, paths) {
                        #expect(response.path == path || form == .plain && path.hasPrefix("/sync"), "\(kinds)")
                    }
                }
            }
        }

        @Test(arguments: Form.allCases) func handlersOfEachKindFollowEachOther(_ form: Form) async throws {
            let all = RequestBatchTests.answers.keys.sorted()
            let pairs = all.flatMap { first in all.map { [first, $0, first, "asks", "sync"] } }
            try await RequestBatchTests.check(form, pairs)
        }

        @Test(arguments: Form.allCases) func anyOrder(_ form: Form) async throws {
            let all = RequestBatchTests.answers.keys.sorted()
            let orders = (0..<20).map { _ in (0..<40).map { _ in all.randomElement() ?? "sync" } }
            try await RequestBatchTests.check(form, orders)
        }

        /// The line in the log names the request that has blocked. Requests that are timed are served one by one.
        @Test func slowHandlersAreNamed() async throws {
            let record = Record()
            let server = await RequestBatchTests.makeServer(record, .middleware)
            server.settings.logLevel = .warning
            server.settings.slowHandlerAfter = .milliseconds(5)
            try await withServer(server, listens: false) { client in
                _ = try await RequestBatchTests.exchange(client, ["/blocks/0", "/async/1", "/async/2"])
                let lines = client.log.lines.map(\.message)
                #expect(lines.contains { $0.contains("slow handler") && $0.contains("GET /blocks/0") }, "\(lines)")
            }
        }

        /// Those that wait for others to end, by the limit of requests in progress, are answered in order, too.
        @Test func requestsThatWaitAreAnswered() async throws {
            let record = Record()
            let server = await RequestBatchTests.makeServer(record, .middleware)
            server.settings.maxConcurrentRequestsPerWorker = 1
            server.settings.maxWaitingRequests = 100
            try await withServer(server, listens: false) { client in
                let kinds = ["async", "later", "sync", "async", "keeps", "async", "later", "async"]
                let responses = try await RequestBatchTests.exchange(client, kinds.enumerated().map { "/\($1)/\($0)" })
                #expect(responses.map(\.status) == kinds.map { _ in "200" })
                let bodies = kinds.enumerated().map { RequestBatchTests.answers[$1]?.body("\($0)") }
                #expect(responses.map(\.body) == bodies)
            }
        }
    }
}
