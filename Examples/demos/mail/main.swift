// Mail by task workers: a client posts a job and has its answer at once; a task worker sends the mail.
//
//   SMTP_PORT=2525 ./dev demo mail, with a mail server on that port of this machine, and in another terminal
//   printf '{"event":"send-mail","to":"ada@localhost","subject":"Hi","content":"Hello"}\r\n' | nc 127.0.0.1 9501
//   or ./dev demo mail-client 9501 ada@localhost Hi Hello
//
// Passwords do not belong in the source: this program takes SMTP_USER and SMTP_PASSWORD from the environment. It
// refuses line breaks in addresses and subjects, by which a client could add header fields.
import SwiftServerJSON

let port = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 9501

struct Job: Codable {
    let event: String
    let to: String?
    let subject: String?
    let content: String?
    var connection: UInt64?
}

struct Report: Codable {
    let connection: UInt64
    let text: String
}

let server = Server(host: "127.0.0.1", port: port)
server.settings.workerCount = 2
server.settings.taskWorkerCount = 2
server.settings.maxRequests = 5000
server.settings.maxTasks = 5000
server.ports[0].settings.framing = .endMarker("\r\n")
server.ports[0].settings.maxPacket = 65_536

/// Made when a task worker starts, so that a reload (`kill -USR2 PID`) makes it again.
var mailer = Mailer(host: "127.0.0.1", port: 25, user: nil, password: nil)

server.onWorkerStart { server, id in
    guard server.isTaskWorker else { return }
    mailer = Mailer(
        host: environment("SMTP_HOST") ?? "127.0.0.1", port: environment("SMTP_PORT").flatMap { Int($0) } ?? 25,
        user: environment("SMTP_USER"), password: environment("SMTP_PASSWORD"))
}

server.onConnect { _, fd in print("connect \(fd)") }
server.onClose { _, fd, _ in print("close \(fd)") }

server.onReceive { (server, fd, bytes: [UInt8]) in
    // Anything else than a job is ignored.
    guard var job = try? JSONFormat.standard.decode(Job.self, from: bytes), !job.event.isEmpty else { return }
    job.connection = fd.rawValue
    let isPosted = (try? server.task(json: job))?.isAccepted ?? false
    server.send(isPosted ? "accepted\r\n" : "too many jobs\r\n", to: fd)
}

server.onTask { server, task throws -> [UInt8]? in
    let job = try task.decode(Job.self)
    let text: String
    switch job.event {
    case "send-mail":
        do {
            try mailer.send(to: job.to ?? "", subject: job.subject ?? "", content: job.content ?? "")
            text = "sent to \(job.to ?? "")"
        } catch {
            text = "not sent: \(error)"
        }
    default:
        text = "unknown event"
    }
    print("task worker \(server.workerID): \(text)")
    return try JSONFormat.standard.encode(Report(connection: job.connection ?? 0, text: text))
}

server.onFinish { server, id, bytes in
    guard let report = try? JSONFormat.standard.decode(Report.self, from: bytes) else { return }
    server.send(report.text + "\r\n", to: ConnectionID(rawValue: report.connection))
}

server.onStart { print("listening on 127.0.0.1:\($0.port)") }
server.serve()
