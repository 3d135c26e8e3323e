// Notifications between users, and from programs behind the server by an additional TCP port.
//
//   Open http://127.0.0.1:9501/?uid=1 and http://127.0.0.1:9501/?uid=2 in two windows, and notify one from the other.
//   printf '{"event":"alertTip","toUid":"2","msg":"from a script"}\n' | nc 127.0.0.1 9502
//
// Common mistakes in programs of this kind, avoided here:
//   - If an event may name any method of the server object, a client can call `close` or `start`. An enumeration lists
//     the events.
//   - A client that leaves stays in the map of users, or only the user "0" does. `onClose` removes each.
//   - The page evaluates messages as code. It must parse JSON, and insert text.
import Glibc
import SwiftServerJSON
import Tokens

let port = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 9501
let tokens = Tokens(key: environment("TOKEN_KEY"))

/// What clients send.
struct Command: Decodable {
    /// All events that a client may cause.
    enum Event: String, Decodable {
        case alertTip
    }
    let event: Event
    let toUid: String
    let msg: String?
}

/// What clients receive.
struct Notification: Encodable {
    let event: String
    let msg: String
}

let server = WebSocketServer(host: "127.0.0.1", port: port)
// The maps are variables of one process.
server.settings.workerCount = 1
server.settings.heartbeatIdleTime = .seconds(125)
server.settings.heartbeatCheckInterval = .seconds(60)

var connectionOfUser: [String: ConnectionID] = [:]
var userOfConnection: [ConnectionID: String] = [:]

func forget(_ fd: ConnectionID) {
    guard let user = userOfConnection.removeValue(forKey: fd) else { return }
    // The user may have a newer connection.
    if connectionOfUser[user] == fd { connectionOfUser[user] = nil }
}

func reject(_ fd: ConnectionID, _ reason: String) {
    server.close(fd, code: 1008, reason: reason)
    forget(fd)
}

/// Whether the user is connected and has been notified.
func notify(_ user: String, _ text: String) -> Bool {
    guard let fd = connectionOfUser[user],
        let json = try? JSONFormat.standard.encode(Notification(event: "alertTip", msg: text))
    else { return false }
    let isSent = server.push(json, to: fd, opcode: .text).isAccepted
    if !isSent { reject(fd, "cannot be notified") }
    return isSent
}

server.onOpen { server, request in
    guard let user = request.query["uid"], let token = request.query["token"],
        tokens.isValid(token, user: user, now: time(nil))
    else { return reject(request.fd, "no valid token") }
    // A user has one connection, the newest.
    if let old = connectionOfUser[user] { reject(old, "connected elsewhere") }
    connectionOfUser[user] = request.fd
    userOfConnection[request.fd] = user
}

server.onMessage { server, frame in
    guard let sender = userOfConnection[frame.fd] else { return reject(frame.fd, "no valid token") }
    guard let command = try? JSONFormat.standard.decode(Command.self, from: frame.bytes) else {
        return reject(frame.fd, "unknown event")
    }
    switch command.event {
    case .alertTip:
        if !notify(command.toUid, command.msg ?? "\(sender) has a message for you") {
            reject(frame.fd, "no such user")
        }
    }
}

server.onClose { _, fd, _ in
    forget(fd)
    print("\(connectionOfUser.count) users are connected")
}

server.onRequest { request, response in
    switch request.path {
    case "/":
        response.header("Content-Type", "text/html; charset=utf-8")
        response.end(page)
    case "/token":
        // A real application issues a token after a login.
        response.end(tokens.token(user: request.query["uid"] ?? "", expires: time(nil) + 3600))
    default:
        response.status(404)
        response.end("not found\n")
    }
}

// For other programs of this machine: one JSON object a line. The port shares the worker, and so the maps.
let backend = server.listen(host: "127.0.0.1", port: port == 0 ? 0 : port + 1, .tcp)
backend.settings.framing = .endMarker("\n")
backend.settings.maxPacket = 4096
backend.onReceive { (server, fd, bytes: [UInt8]) in
    guard let command = try? JSONFormat.standard.decode(Command.self, from: bytes) else {
        server.send("invalid\n", to: fd)
        return
    }
    server.send(notify(command.toUid, command.msg ?? "") ? "sent\n" : "no such user\n", to: fd)
}
backend.onClose { _, _, _ in }

server.onStart { server in
    print("listening on http://127.0.0.1:\(server.port)/?uid=1 and 127.0.0.1:\(server.ports[1].port)")
}
server.serve()
