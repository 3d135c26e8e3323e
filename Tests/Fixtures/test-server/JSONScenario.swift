import SwiftServerJSON
import TestProtocol

/// Codable values in messages, requests and tasks.
@MainActor enum JSONScenario {
    static func register(_ server: WebSocketServer) {
        server.handle("/orders") { request, ws in
            try await ws.upgrade()
            while let order = try await ws.recv(json: Order.self) { try await ws.push(json: receipt(order)) }
        }
        server.handle("/tasks") { request, ws in
            try await ws.upgrade()
            while let order = try await ws.recv(json: Order.self) {
                do {
                    try await ws.push(json: server.task(json: order, returning: Receipt.self, timeout: .seconds(30)))
                } catch {
                    try await ws.push("\(error)")
                }
            }
        }
        server.handle("/order") { request, ws in
            let order = try await request.decode(Order.self, limit: 100)
            try ws.json(receipt(order), status: 201)
        }
        server.handle("/infinite") { request, ws in try ws.json([Double.infinity]) }
        server.onTask(json: Order.self) { _, order in receipt(order) }
        server.onRequest { request, response in
            do {
                try response.json(receipt(request.decode(Order.self, format: JSONFormat(keys: .snakeCase))))
            } catch {
                response.status(422)
                response.end("\(error)")
            }
        }
        server.onMessage { server, frame in
            do {
                let order: Order = try frame.decode()
                let receipt = receipt(order)
                switch order.itemName {
                case "all": try server.broadcast(json: receipt)
                case "others": try server.broadcast(json: receipt, except: frame.fd)
                case "topic":
                    server.subscribe(frame.fd, to: "orders")
                    try server.publish(json: receipt, to: "orders")
                case "object": try server.connection(frame.fd).push(json: receipt)
                default: try server.push(json: receipt, to: frame.fd)
                }
            } catch let error as JSONDecodingError {
                server.push(error.message, to: frame.fd)
            } catch {
                server.push("\(error)", to: frame.fd)
            }
        }
    }

    private static func receipt(_ order: Order) -> Receipt { Receipt(total: order.prices.reduce(0, +)) }
}
