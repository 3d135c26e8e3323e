import SwiftServer
import SwiftServerTesting
import TestProtocol
import Testing

extension ProcessTests {
    /// Responses of status 1xx before the response.
    @Suite struct InformationalTests {
        private static let results = "begun accepted,accepted,invalid,invalid,invalid,invalid,full,begun"

        @Test(arguments: ServerMode.allCases) func theyPrecedeTheResponse(_ mode: ServerMode) async throws {
            try await ClientRun.run(.informational, mode) { port in
                let client = try Connection(port: port)
                try client.sendRequest("/hints")
                let hints = try client.takeResponse(hasBody: false)
                #expect(hints.status == 103)
                #expect(hints.fields.map(\.name) == ["Link", "link"])
                #expect(hints.fields.map(\.value) == ["</a.css>; rel=preload", "</b.js>; rel=preload"])
                let processing = try client.takeResponse(hasBody: false)
                #expect(processing.status == 102 && processing.fields.isEmpty)
                let response = try client.takeWholeResponse(to: "GET")
                #expect(response.status == 200 && response["x-own"] == "1" && response["link"] == nil)
                #expect(response.body == Self.results)

                // A client of HTTP/1.0 would take them for the response.
                let old = try Connection(port: port)
                try old.send("GET /hints HTTP/1.0\r\n\r\n")
                let only = try old.takeWholeResponse(to: "GET")
                #expect(only.status == 200 && only.body == Self.results)

                let skipped = try await HTTPClient().get("http://127.0.0.1:\(port)/hints")
                let text = try await skipped.body.text(upTo: 1000)
                #expect(skipped.status == 200 && text == Self.results)
            }
        }
    }
}
