// A chat in the browser over several worker processes. Open the page in two windows and write; then crash the worker
// from the page, and see that no connection is lost.
//
// Each worker is a separate process with its own variables. A dictionary of names in here would contain only the users
// whose connections this worker serves, and be empty after a crash. So this chat stores nothing: each message contains
// the name of its author, and pages send their names to newcomers. All workers share the table of connections, and any
// worker can push to any of them.
//
// Page to worker: the first line is the receiver ("all", or the id of a connection), the rest is passed on unchanged.
// "crash" kills the worker. Worker to page: a line "WORKER PID FROM", then the text; FROM is 0 for messages of the
// server. With the server's line first nothing has to be escaped, and no client can forge it.
import SwiftServer

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

let options = Options(CommandLine.arguments)
let server = WebSocketServer(host: options.host, port: options.port, mode: options.mode)
server.settings.workerCount = options.workers
server.settings.maxMessage = 8 << 10
// The dashboard shows the server at work. Its buttons need this token, which is new with each start.
let token = String((0..<32).map { _ in "0123456789abcdef".randomElement() ?? "0" })
server.settings.monitoringPort = options.dashboardPort
server.settings.monitoringToken = token

// Where `swiftserver status` and other commands look for the server, too.
if let path = getenv("SWIFTSERVER_SOCKET") { server.settings.controlSocket = String(cString: path) }

server.onRequest { request, response in
    guard let file = site[request.path] else {
        response.status(404)
        response.end("not found\n")
        return
    }
    response.header("Content-Type", "\(file.type); charset=utf-8")
    response.header("Content-Security-Policy", "default-src 'self'; img-src data:; connect-src 'self' ws: wss:")
    response.end(file.content)
}

server.onWorkerStart { server, _ in
    server.deliverToAll("worker\n\(server.everybody)")
}

server.onOpen { server, request in
    server.deliver(request.fd, "welcome\n\(server.everybody)\n\(request.fd)")
}

server.onMessage { server, frame in
    let parts = frame.text.split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false)
    let text = parts.count == 2 ? parts[1] : ""
    if parts[0] == "crash" {
        kill(getpid(), SIGKILL)  // to show what a crash costs
    } else if parts[0] == "all" {
        server.deliverToAll(text, from: frame.fd)
    } else if let number = UInt64(parts[0]) {
        server.deliver(ConnectionID(rawValue: number), text, from: frame.fd)
    }
}

server.onClose { server, fd, _ in
    server.deliverToAll("left\n\(fd)")
}

server.onStart { server in
    print("The chat is at \(options.url(port: server.port)) now; Ctrl-C stops it.")
    print("Dashboard: http://127.0.0.1:\(server.monitoringPort ?? 0)/#token=\(token)")
    print("ready \(server.port) \(server.masterPID)")
}

extension WebSocketServer {
    /// The ids of the open WebSockets of all workers, separated by blanks.
    var everybody: String {
        connections.filter { isEstablished($0) }.map(\.description).joined(separator: " ")
    }

    func deliver(_ fd: ConnectionID, _ text: some StringProtocol, from: ConnectionID? = nil) {
        push(line(text, from), to: fd)
    }

    func deliverToAll(_ text: some StringProtocol, from: ConnectionID? = nil) {
        broadcast(line(text, from))
    }

    private func line(_ text: some StringProtocol, _ from: ConnectionID?) -> String {
        "\(workerID) \(workerPID) \(from?.rawValue ?? 0)\n\(text)"
    }
}

server.serve()
