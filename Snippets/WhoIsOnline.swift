// Who is online, over all workers: each connects to /?user=NAME, and sends "NAME text" to write to NAME.
// Each worker is a process: a dictionary would contain only the users whose connections its worker serves.
import SwiftServer

let fd = SharedColumn<ConnectionID>("fd")
let name = SharedColumn<String>("name", size: 63)
// Before serve(), so that all workers have them.
let users = try SharedTable(rows: 10_000, columns: fd)  // by name
let names = try SharedTable(rows: 10_000, columns: name)  // by connection

let server = WebSocketServer(host: "127.0.0.1", port: 9501)
server.settings.workerCount = 2
server.settings.maxConnections = 10_000

server.onOpen { server, request in
    // When a table is full, this throws: the error is logged and the WebSocket closed with code 1011.
    let user = request.query["user"] ?? "guest \(request.fd)"
    try users.set(user, fd.to(request.fd))
    try names.set("\(request.fd)", name.to(user))
}

server.onMessage { server, frame in
    let words = frame.text.split(separator: " ", maxSplits: 1).map(String.init)
    let sender = names["\(frame.fd)", name] ?? "unknown"
    guard words.count == 2, let receiver = users[words[0], fd],
        server.push("\(sender): \(words[1])", to: receiver).isAccepted
    else {
        server.push("there is nobody of that name", to: frame.fd)
        return
    }
}

server.onClose { _, closed, _ in
    guard let user = try? names.remove("\(closed)")?[name] else { return }
    // Not when the user has reconnected meanwhile, perhaps to another worker.
    _ = try? users.remove(user) { $0[fd] == closed }
}

server.onRequest { _, response in
    response.end(users.map(\.key).sorted().joined(separator: "\n") + "\n")
}

server.serve()
