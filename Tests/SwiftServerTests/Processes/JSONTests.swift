import SwiftServer
import SwiftServerJSON
import TestProtocol
import Testing

extension ProcessTests {
    /// Codable values in messages, requests and tasks.
    @Suite struct JSONTests {
        private func receipt(_ client: WebSocketClient, _ order: Order) throws -> Int {
            try client.send(encoded(order))
            return try decoded(Receipt.self, client.receiveText()).total
        }

        @Test(arguments: ServerMode.allCases) func straightLineHandlers(_ mode: ServerMode) throws {
            try ServerProcess.run(.json, mode, tasks: 1) { server in
                for path in ["/orders", "/tasks"] {
                    let client = try StraightLineTests.connect(server, path)
                    #expect(try receipt(client, Order("screws", [1, 2])) == 3)
                    #expect(try receipt(client, Order("nails", [])) == 0)
                    try client.send("{\"itemName\":\"nuts\",\"prices\":[1,\"2\"]}")
                    let end = try client.receive()
                    #expect(end == .close(1007, "invalid JSON at prices[1]: an integer is expected"))
                }
                #expect(!server.log.contains(" error: "), "what clients send is not logged")
            }
        }

        @Test(arguments: ServerMode.allCases) func callbacks(_ mode: ServerMode) throws {
            try ServerProcess.run(.json, mode, tasks: 1) { server in
                let client = try WebSocketClient(port: server.port, welcome: false)
                for item in ["one", "object", "topic", "all"] {
                    #expect(try receipt(client, Order(item, [4, 5])) == 9)
                }
                let other = try WebSocketClient(port: server.port, welcome: false)
                try client.send(encoded(Order("others", [6])))
                #expect(try decoded(Receipt.self, other.receiveText()) == Receipt(total: 6))
                #expect(try client.ask("{}") == "invalid JSON at itemName: the value is missing")
                #expect(try client.ask("[]").hasPrefix("invalid JSON: an object is expected"))
                #expect(try client.ask("{").hasPrefix("invalid JSON: "))
            }
        }

        @Test func requests() async throws {
            try await ClientRun.alone {
                try ServerProcess.run(.json, tasks: 1) { server in
                    let url = "http://127.0.0.1:\(server.port)"
                    try ClientRun.wait { try await JSONTests.checkResponses(url) }
                    #expect(!server.log.contains(" error: "), "what clients send is not logged")
                    try ClientRun.wait {
                        let failed = try await HTTPClient().get(url + "/infinite")
                        let text = try await failed.body.text(upTo: 100)
                        #expect(failed.status == 500 && text == "Internal Server Error\n")
                    }
                    #expect(server.log.contains("cannot encode Array<Double> as JSON: inf"), "\(server.log)")
                }
            }
        }

        private static func checkResponses(_ url: String) async throws {
            let client = HTTPClient()
            var order = HTTPClientRequest(url + "/order", method: "POST")
            try order.setJSON(Order("screws", [1, 2]))
            let created = try await client.execute(order)
            let receipt = try await created.json(as: Receipt.self)
            #expect(created.status == 201 && receipt == Receipt(total: 3))
            #expect(created.headers.all("Content-Type") == ["application/json"])
            for (path, body, status, text) in [
                // The errors of a straight-line handler that clients have caused.
                ("/order", "{\"itemName\":null}", 400, "invalid JSON at itemName: a string is expected, got null"),
                ("/order", "", 400, "invalid JSON: there is no JSON: the input is empty"),
                ("/order", String(repeating: " ", count: 101), 413, "the body must be at most 100 bytes"),
                ("/", "{\"item_name\":\"a\",\"prices\":[7]}", 200, "{\"total\":7}"),
                ("/", "{\"prices\":[]}", 422, "invalid JSON at itemName: the value is missing"),
            ] {
                let response = try await client.post(url + path, body: .text(body))
                let received = try await response.body.text(upTo: 1000)
                #expect(response.status == status && received == text, "\(received)")
                guard path == "/order" else { continue }
                #expect(response.headers.all("Content-Type") == ["text/plain; charset=utf-8"])
            }
        }
    }
}
