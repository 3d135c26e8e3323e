// Workers that are replaced after three messages, task workers after four tasks: connections stay, variables do not.
//
//   nc 127.0.0.1 9501, and write some lines. Each answer counts the messages of its worker; each line is a task, too.
import SwiftServerJSON

let port = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 9501
let server = Server(host: "127.0.0.1", port: port)
server.ports[0].settings.framing = .endMarker("\n")
server.settings.workerCount = 1
server.settings.maxRequests = 3
server.settings.maxRequestsGrace = 0  // without a random addition, which spreads the replacements of many workers
server.settings.taskWorkerCount = 1
server.settings.maxTasks = 4
server.settings.maxTasksGrace = 0

server.onWorkerStart { server, id in
    print("\(server.isTaskWorker ? "task worker" : "worker") \(id) starts, pid \(server.workerPID)")
}

var count = 0
server.onReceive { (server, fd, bytes: [UInt8]) in
    count += 1
    server.send("message \(count) of worker \(server.workerPID)\n", to: fd)
    server.task(bytes)
}

var tasks = 0
server.onTask { (server, task) -> Void in
    tasks += 1
    print("task \(tasks) of task worker \(server.workerPID)")
}

server.onStart { print("listening on 127.0.0.1:\($0.port)") }
server.serve()
