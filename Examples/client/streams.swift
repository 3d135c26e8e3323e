import SwiftServer

/// Lines end with CR and LF, in both directions.
func askOverTCP(_ host: String, _ port: Int, _ line: String) throws {
    let client = try Client.connect(.tcp, host: host, port: port, timeout: .seconds(5), framing: .endMarker("\r\n"))
    try client.send(line + "\r\n")
    if let answer = try client.recv(timeout: .seconds(5)) {
        print(String(decoding: answer, as: UTF8.self), terminator: "")
    }
    client.close()
}

/// A packet may be lost on its way, so the client sends it up to three times.
func askOverUDP(_ host: String, _ port: Int, _ text: String) throws {
    let client = try Client.connect(.udp, host: host, port: port)
    for attempt in 1...3 {
        try client.send(text)
        do throws(ClientError) {
            if let answer = try client.recv(timeout: .seconds(1)) { print(String(decoding: answer, as: UTF8.self)) }
            return
        } catch {
            if error.code != .timedOut || attempt == 3 { throw error }
        }
    }
}
