// Passwords, JSON Web Tokens and rate limits, as middleware of groups.
import SwiftServer

let server = HTTPServer(port: 9501)

struct User: Sendable { var name: String }

// At most 100 requests per minute from one address, in all workers together.
server.use(try RateLimit(requests: 100, per: .seconds(60)))

// Name and password, over TLS only.
let passwords = BasicAuthentication(realm: "admin") { credentials -> User? in
    credentials.name == "ada" && credentials.hasPassword("correct horse") ? User(name: credentials.name) : nil
}
server.group("/admin", use: [passwords]) { admin in
    admin.get("/") { request, response in response.end("hello \(try request.value(User.self).name)\n") }
}

// Tokens of an issuer, and a limit for each of their users.
let secret = [UInt8]("a secret of at least thirty-two bytes".utf8)
let tokens = JWTVerifier(
    keys: [try JWTKey.hs256(secret: secret)], issuer: "https://login.example", audience: "shop")
let perUser = try RateLimit("user", requests: 1000, per: .seconds(3600), burst: 50) { $0[JWT.self]?.subject }

server.group("/api", use: [BearerAuthentication(realm: "shop", tokens: tokens), perUser]) { api in
    api.post("/orders") { request, response in
        let token = try request.value(JWT.self)
        guard token.scopes.contains("orders:write") else { throw InsufficientScope("orders:write") }
        response.status(201)
        response.end("an order of \(token.subject ?? "")\n")
    }
}

server.serve()
