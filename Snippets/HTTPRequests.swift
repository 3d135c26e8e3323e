// Requests to other servers: JSON, a body that is read as it arrives, and one that is sent in pieces.
import SwiftServer
import SwiftServerJSON

struct User: Codable {
    let name: String
}

let client = HTTPClient {
    $0.timeout = .seconds(30)
    $0.headers["Accept"] = "application/json"
}

let user = try await client.get("http://127.0.0.1:9501/users/7").json(as: User.self)
print(user.name)

var request = HTTPClientRequest("http://127.0.0.1:9501/users", method: "POST")
try request.setJSON(User(name: "Ada"))
let created = try await client.execute(request)
print(created.status, created.header("Location") ?? "")

var bytes = 0
for try await piece in try await client.get("http://127.0.0.1:9501/export").body {
    bytes += piece.count
}
print(bytes)

let lines = AsyncStream<[UInt8]> { continuation in
    for number in 1...1000 { continuation.yield(Array("line \(number)\n".utf8)) }
    continuation.finish()
}
let imported = try await client.put("http://127.0.0.1:9501/import", body: .stream(lines))
print(imported.status)
