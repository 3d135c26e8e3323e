// The processes of a server, by their names in `ps`: one master, one manager, two workers, one task worker.
//
//   ps aux | grep server-process
import SwiftServerJSON

let port = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 9501
let server = Server(host: "127.0.0.1", port: port)
server.processName = "server-process"
server.settings.workerCount = 2
server.settings.taskWorkerCount = 1

server.onReceive { (server, fd, bytes: [UInt8]) in server.send(bytes, to: fd) }
server.onTask { (_, _) -> Void in }

server.onManagerStart { print("manager \($0.managerPID)") }
server.onWorkerStart { server, id in
    // Task workers run it, too. Their numbers follow those of the workers.
    print("\(server.isTaskWorker ? "task worker" : "worker") \(id), pid \(server.workerPID)")
}
server.onStart { server in
    print("master \(server.masterPID)")
    print("listening on 127.0.0.1:\(server.port)")
}
server.onShutdown { _ in print("shutdown") }
server.serve()
