// Timers in a server: a tick in worker 0 only, and an answer that comes later.
//
//   printf 'hello' | nc 127.0.0.1 9501
import SwiftServerJSON

let port = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 9501
let server = Server(host: "127.0.0.1", port: port)
server.settings.workerCount = 2

server.onWorkerStart { server, id in
    // Each worker runs this, so without the condition there would be two timers.
    guard id == 0 else { return }
    var rounds = 0
    server.tick(every: .milliseconds(200)) { timer in
        rounds += 1
        print("tick \(rounds) in worker \(server.workerID)")
        if rounds == 5 { server.clearTimer(timer) }
    }
}

server.onReceive { (server, fd, bytes: [UInt8]) in
    server.send("received\n", to: fd)
    server.after(.milliseconds(300)) { server.send("and 300 ms later\n", to: fd) }
}

server.onStart { print("listening on 127.0.0.1:\($0.port)") }
server.serve()
