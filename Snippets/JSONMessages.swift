// Codable values in messages, requests and tasks. Foundation is not imported.
import SwiftServerJSON

struct Order: Codable {
    let item: String
    let count: Int
}

struct Receipt: Codable {
    let total: Int
}

let server = WebSocketServer(port: 9501)
server.settings.taskWorkerCount = 1

// A message that is not an order closes the connection with code 1007, a body that is none gets status 400.
server.handle("/orders") { request, ws in
    try await ws.upgrade()
    while let order = try await ws.recv(json: Order.self) {
        try await ws.push(json: server.task(json: order, returning: Receipt.self, timeout: .seconds(5)))
    }
}
server.handle("/order") { request, ws in
    let order = try request.decode(Order.self)
    try ws.json(Receipt(total: order.count * 3), status: 201)
}

server.onTask(json: Order.self) { _, order in Receipt(total: order.count * 3) }

server.serve()
