import FoundationEssentials
import Glibc
import SwiftServer

/// Sends mail to a server by SMTP, without encryption: for a mail server of the same machine.
struct Mailer {
    let host: String
    let port: Int
    let user: String?
    let password: String?

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    func send(to: String, subject: String, content: String) throws {
        let hasBreak = (to + subject).utf8.contains { $0 < 32 || $0 == 127 }
        guard to.contains("@"), !subject.isEmpty, !content.isEmpty, !hasBreak,
            !to.contains(where: { "<> ,;".contains($0) })
        else { throw Failure(description: "to, subject or content is missing or invalid") }

        let client = try Client.connect(
            .tcp, host: host, port: port, timeout: .seconds(10), framing: .endMarker("\r\n"))
        defer { client.close() }
        let sender = environment("SMTP_FROM") ?? "demo@localhost"
        try expect(220, client)
        try command("EHLO localhost", 250, client)
        if let user, let password {
            guard host == "127.0.0.1" || host == "::1" else {
                throw Failure(description: "refusing to send a password without encryption to another machine")
            }
            let secret = Data("\0\(user)\0\(password)".utf8).base64EncodedString()
            try command("AUTH PLAIN \(secret)", 235, client)
        }
        try command("MAIL FROM:<\(sender)>", 250, client)
        try command("RCPT TO:<\(to)>", 250, client)
        try command("DATA", 354, client)
        let head = [
            "From: <\(sender)>", "To: <\(to)>", "Subject: =?utf-8?B?\(Data(subject.utf8).base64EncodedString())?=",
            "MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: base64",
        ]
        // Base64 has no line that begins with a dot, which would end the mail.
        let body = Data(content.utf8).base64EncodedString(options: [.lineLength76Characters])
        try command((head + ["", body, "."]).joined(separator: "\r\n"), 250, client)
        try command("QUIT", 221, client)
    }

    private func command(_ text: String, _ code: Int, _ client: Client) throws {
        try client.send(text + "\r\n")
        try expect(code, client)
    }

    /// Reads an answer of one or more lines: all but the last have a "-" after the code.
    private func expect(_ code: Int, _ client: Client) throws {
        for _ in 0..<100 {
            guard let bytes = try client.recv(timeout: .seconds(10)) else {
                throw Failure(description: "the mail server has closed the connection")
            }
            let line = String(decoding: bytes, as: UTF8.self)
            guard line.hasPrefix("\(code)") else { throw Failure(description: "the mail server answers \(line)") }
            if line.utf8.dropFirst(3).first != UInt8(ascii: "-") { return }
        }
        throw Failure(description: "the mail server's answer is too long")
    }
}

func environment(_ name: String) -> String? {
    unsafe getenv(name).map { unsafe String(cString: $0) }
}
