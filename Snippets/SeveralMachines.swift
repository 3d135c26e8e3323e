// A chat over several machines: servers at one Redis, of which each serves a part of the clients.
//
//     REDIS=redis://127.0.0.1 swift run SeveralMachines 9501
//     REDIS=redis://127.0.0.1 swift run SeveralMachines 9502

import Glibc
import SwiftServer

let port = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 9501
let server = WebSocketServer(host: "127.0.0.1", port: port)

server.cluster = .redis(unsafe getenv("REDIS").map { unsafe String(cString: $0) } ?? "redis://127.0.0.1")
server.cluster.topics["room:*"] = TopicSettings(history: 100, for: .seconds(300))

server.onOpen { server, request in
    // A number that no other server gives.
    let number = try await server.values.add(1, to: "guests")
    let name = request.query["name"] ?? "guest \(number)"
    server.subscribe(request.fd, to: "room:lobby", as: name)
}

// Once in the cluster for each member, whichever server it is connected with.
server.onJoin { server, topic, member in server.publish("\(member.id) is here", to: topic) }
server.onLeave { server, topic, member in server.publish("\(member.id) has gone", to: topic) }

server.onMessage { server, frame in
    // To the subscribers of all servers, this one included, in the same order.
    if server.publish(frame, to: "room:lobby") == .unavailable {
        server.push("The cluster takes no messages at the moment.", to: frame.fd)
    }
}

server.serve()
