// A task that takes five seconds does not hold up the worker that posts it: "posted" is printed before "done".
//
//   printf 'photo' | nc 127.0.0.1 9501          Another client is served meanwhile.
//
// The argument after the port is the length of the task in seconds.
import Glibc
import SwiftServerJSON

let port = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 9501
let server = Server(host: "127.0.0.1", port: port)
server.settings.workerCount = 1
server.settings.taskWorkerCount = 2
let seconds = UInt32(CommandLine.arguments.dropFirst(2).first ?? "") ?? 5

/// The data of a task: any Codable value.
struct Job: Codable {
    let connection: UInt64
    let name: String
}

server.onReceive { (server, fd, bytes: [UInt8]) in
    let name = String(decoding: bytes.prefix(100), as: UTF8.self)
    guard let posting = try? server.task(json: Job(connection: fd.rawValue, name: name)), posting.isAccepted else {
        server.send("too many tasks\n", to: fd)
        return
    }
    print("posted \(name)")
    server.send("posted \(name)\n", to: fd)
}

server.onTask { server, task throws -> [UInt8]? in
    let job = try task.decode(Job.self)
    print("task worker \(server.workerID) begins \(job.name), posted by worker \(task.workerID)")
    sleep(seconds)
    return task.data
}

// In the worker that posted the task.
server.onFinish { server, id, result in
    guard let job = try? JSONFormat.standard.decode(Job.self, from: result) else { return }
    print("done \(job.name)")
    server.send("done \(job.name)\n", to: ConnectionID(rawValue: job.connection))
}

server.onStart { print("listening on 127.0.0.1:\($0.port)") }
server.serve()
