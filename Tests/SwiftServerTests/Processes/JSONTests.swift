import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// Codable values in messages, requests and tasks.
    @Suite struct JSONTests {
        private static let order = encoded(Order("screws", [1, 2]))

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

        @Test func requests() throws {
            try ServerProcess.run(.json, tasks: 1) { server in
                let client = try Connection(port: server.port)
                let created = try client.get("/order", method: "POST", body: JSONTests.order)
                #expect(created.status == 201 && created.body == "{\"total\":3}")
                #expect(created.all("Content-Type") == ["application/json"])

                // The errors of a straight-line handler that clients have caused, and that it has caused itself.
                for (body, status, text) in [
                    ("{\"itemName\":null}", 400, "invalid JSON at itemName: a string is expected, got null"),
                    ("", 400, "invalid JSON: there is no JSON: the input is empty"),
                    (String(repeating: " ", count: 101), 413, "the body must be at most 100 bytes"),
                ] {
                    let refused = try client.get("/order", method: "POST", body: body)
                    #expect(refused.status == status && refused.body == text, "\(refused)")
                    #expect(refused.all("Content-Type") == ["text/plain; charset=utf-8"])
                }
                #expect(!server.log.contains(" error: "), "what clients send is not logged")
                let failed = try client.get("/infinite")
                #expect(failed.status == 500 && failed.body == "Internal Server Error\n")
                #expect(server.log.contains("cannot encode Array<Double> as JSON: inf"), "\(server.log)")

                let snake = try client.get("/", method: "POST", body: "{\"item_name\":\"a\",\"prices\":[7]}")
                #expect(snake.status == 200 && snake.body == "{\"total\":7}")
                let other = try client.get("/", method: "POST", body: "{\"prices\":[]}")
                #expect(other.status == 422 && other.body == "invalid JSON at itemName: the value is missing")
            }
        }
    }
}
