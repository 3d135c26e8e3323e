// A chat in the browser over several worker processes. Open the page in two windows and talk; then have the page crash
// its worker, and see that nobody loses the connection.
//
// What to know before you write a server of your own: each worker is a process, and its variables are its own. A
// dictionary of names in here would know only those whose connections this worker serves, and be empty again after a
// crash. So this chat keeps nothing: each message carries the name of its author, and pages tell newcomers who they
// are. What all workers do share is the table of connections, and any worker can push to any of them.
//
// Page to worker: the first line says for whom it is ("all", or the number of a connection), the rest is passed on as
// it came. "crash" kills the worker. Worker to page: a line "WORKER PID FROM", then the text; FROM is 0 when it is the
// server that speaks. With the server's line in front nothing has to be escaped, and nobody can forge it.
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
    server.tellAll("worker\n\(server.everybody)")
}

server.onOpen { server, request in
    server.tell(request.fd, "welcome\n\(server.everybody)\n\(request.fd)")
}

server.onMessage { server, frame in
    let parts = frame.text.split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false)
    let text = parts.count == 2 ? parts[1] : ""
    if parts[0] == "crash" {
        kill(getpid(), SIGKILL)  // only to show what happens then
    } else if parts[0] == "all" {
        server.tellAll(text, from: frame.fd)
    } else if let number = UInt64(parts[0]) {
        server.tell(ConnectionID(rawValue: number), text, from: frame.fd)
    }
}

server.onClose { server, fd, _ in
    server.tellAll("left\n\(fd)")
}

server.onStart { server in
    print("The chat is at \(options.url(port: server.port)) now; Ctrl-C stops it.")
    print("ready \(server.port) \(server.masterPID)")
}

extension WebSocketServer {
    /// The open WebSockets of all workers, as numbers with blanks between them.
    var everybody: String {
        connections.filter { isEstablished($0) }.map(\.description).joined(separator: " ")
    }

    func tell(_ fd: ConnectionID, _ text: some StringProtocol, from: ConnectionID? = nil) {
        push("\(workerID) \(workerPID) \(from?.rawValue ?? 0)\n\(text)", to: fd)
    }

    func tellAll(_ text: some StringProtocol, from: ConnectionID? = nil) {
        for fd in connections where isEstablished(fd) { tell(fd, text, from: from) }
    }
}

server.serve()
