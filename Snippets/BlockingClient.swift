// Sends a line to a TCP server and prints its answer: a script, or a test, that waits for each step.
import SwiftServer

do {
    let client = try Client.connect(
        .tcp, host: "127.0.0.1", port: 9501, timeout: .seconds(5), framing: .endMarker("\r\n"))
    try client.send("hello server\r\n")
    if let answer = try client.recv(timeout: .seconds(5)) {
        print(String(decoding: answer, as: UTF8.self))
    }
    client.close()
} catch {
    print("the server does not answer: \(error.message)")
}
