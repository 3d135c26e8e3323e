// The client of the demo `mail`: posts one mail and prints what the server answers, at once and after it was sent.
//
//   ./dev demo mail-client 9501 ada@localhost Hi 'Hello Ada'
import Glibc
import SwiftServerJSON

let arguments = CommandLine.arguments
guard arguments.count == 5, let port = Int(arguments[1]) else {
    print("usage: mail-client PORT TO SUBJECT CONTENT")
    exit(2)
}

struct Job: Encodable {
    var event = "send-mail"
    let to: String
    let subject: String
    let content: String
}

do {
    let client = try Client.connect(
        .tcp, host: "127.0.0.1", port: port, timeout: .seconds(5), framing: .endMarker("\r\n"))
    let job = try JSONFormat.standard.encode(Job(to: arguments[2], subject: arguments[3], content: arguments[4]))
    try client.send(job + [13, 10])
    for _ in 0..<2 {
        guard let answer = try client.recv(timeout: .seconds(30)) else { break }
        print(String(decoding: answer.dropLast(2), as: UTF8.self))
    }
    client.close()
} catch {
    print("cannot post the mail: \(error)")
    exit(1)
}
