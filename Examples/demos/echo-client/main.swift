// A client that waits for each step: it connects to a TCP server, sends a line, and prints the answer.
//
//   ./dev demo tcp-echo, and in another terminal: ./dev demo echo-client 9501 hello
import Glibc
import SwiftServer

let port = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 9501
let text = CommandLine.arguments.dropFirst(2).first ?? "hello"

do {
    let client = try Client.connect(.tcp, host: "127.0.0.1", port: port, timeout: .seconds(5))
    try client.send(text)
    if let answer = try client.recv(timeout: .seconds(5)) {
        print(String(decoding: answer, as: UTF8.self))
    } else {
        print("the server has closed the connection")
    }
    client.close()
} catch {
    print("no answer: \(error)")
    exit(1)
}
