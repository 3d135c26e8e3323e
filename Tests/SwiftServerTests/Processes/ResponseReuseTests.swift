import SwiftServerTesting
import Testing

@testable import SwiftServer

extension ProcessTests {
    /// Responses are used again for other requests, unless somebody could still use them.
    @Suite struct ResponseReuseTests {
        /// What handlers leave for the next one.
        @MainActor private final class Kept {
            var strong: Response?
            weak var weak: Response?
            var results: [ResponseResult] = []
            /// Of the server's worker.
            var requests: OpenRequests?
            /// What was left for the next request; as this refers to it, nothing else has its address.
            var reusable: AnyObject?

            /// Whether a response was left for the next request.
            func findReusable() -> Bool {
                reusable = requests?.takeReusableResponse()
                var kept = reusable
                requests?.keep(reusableResponse: &kept)
                return reusable != nil
            }
        }

        @MainActor private static func makeServer(_ kept: Kept) -> WebSocketServer {
            let server = WebSocketServer(port: 0, mode: .single)
            server.settings.logLevel = .none
            server.get("/changes") { _, response in
                response.status(404)
                response.header("X-Large", String(repeating: "a", count: 5000))
                response.onEnd { _ in }
                response.end("changed")
            }
            server.get("/writes") { _, response in
                _ = response.write("a") as Bool
                response.end("b")
            }
            server.get("/strong") { _, response in
                kept.strong = response
                response.end("strong")
            }
            server.get("/weak") { _, response in
                kept.weak = response
                response.end("weak")
            }
            server.get("/task") { _, response in
                kept.results = []
                Task { [weak response] in
                    while kept.results.isEmpty { await Task.yield() }
                    response?.end("of another client")
                }
                response.end("task")
            }
            server.get("/forgets") { (_, response) async in response.status(202) }
            server.get("/next") { _, response in
                kept.requests = response.worker.requests
                if let reusable = kept.reusable.take() { #expect(response === reusable) }
                #expect(kept.strong !== response)
                #expect(kept.weak == nil)
                kept.results = [kept.strong?.end("of another client") ?? .ended]
                await Task.yield()
                #expect(response.status == 200 && response.bytesSent == 0 && !response.isBegun && !response.hasEnded)
                response.header("X-Names", response.headers.all.map(\.name).joined(separator: ","))
                response.end("next")
            }
            return server
        }

        @Test(arguments: ["/changes", "/writes", "/strong", "/weak", "/task", "/forgets", "/next"])
        @MainActor func theNextRequestGetsAResponseOfItsOwn(path: String) async throws {
            let kept = Kept()
            try await withServer(ResponseReuseTests.makeServer(kept), listens: false) { client in
                _ = try await client.request("GET", "/next")
                for _ in 0..<2 {
                    _ = try await client.request("GET", path)
                    #expect(kept.findReusable() == ["/changes", "/writes", "/next"].contains(path))
                    let next = try await client.request("GET", "/next")
                    #expect(next.status == 200 && next.body == "next" && next.all("x-names") == [""])
                    #expect(next.all("x-large").isEmpty)
                }
            }
            if path == "/strong" { #expect(kept.results == [.ended]) }
        }
    }
}
