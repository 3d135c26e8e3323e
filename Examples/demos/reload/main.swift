// What a reload replaces: everything that is read in `onWorkerStart`, nothing that was read before the start.
//
//   echo one > /tmp/greeting; ./dev demo reload 9501 /tmp/greeting
//   curl http://127.0.0.1:9501/; echo two > /tmp/greeting; kill -USR1 PID; curl http://127.0.0.1:9501/
//
// Swift code is compiled: `settings.reload = .newProgram` makes workers of a new program file in the same way.
// A third argument is a log file: the server then runs in the background, and its output goes there.
// End it by `kill PID`.
import Glibc
import SwiftServerJSON

let port = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 9501
let file = CommandLine.arguments.dropFirst(2).first ?? "/etc/hostname"

let server = HTTPServer(host: "127.0.0.1", port: port)
server.settings.workerCount = 1
if let logFile = CommandLine.arguments.dropFirst(3).first {
    server.settings.daemonize = true
    server.settings.logFile = logFile
}

/// The first line of a file, of at most 200 bytes.
func firstLine(of path: String) -> String {
    let descriptor = open(path, O_RDONLY)
    guard descriptor >= 0 else { return "cannot read \(path)" }
    defer { close(descriptor) }
    let bytes = [UInt8](unsafeUninitializedCapacity: 200) { buffer, count in
        count = max(0, unsafe read(descriptor, buffer.baseAddress, 200))
    }
    return String(decoding: bytes.prefix { $0 != 10 }, as: UTF8.self)
}

let loadedBeforeStart = firstLine(of: file)
var loadedByWorker = ""

server.onWorkerStart { server, id in
    loadedByWorker = firstLine(of: file)
    print("worker \(id) starts, pid \(server.workerPID): \(loadedByWorker)")
}

server.onRequest { request, response in
    response.end("before the start: \(loadedBeforeStart)\nin onWorkerStart: \(loadedByWorker)\n")
}

server.onStart { print("listening on http://127.0.0.1:\($0.port)/, master \($0.masterPID)") }
server.serve()
