import SwiftServer

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

struct Options {
    enum Compress: String, CaseIterable { case yes, no }
    enum Handler: String, CaseIterable { case callback, span, async, straight, routed, prepared, wrapped, logged }

    var host = "127.0.0.1"
    var port = 9501
    var mode = ServerMode.process
    var workers = 1
    var reactors = 1
    var handler = Handler.callback
    /// Bytes come back as they are, without HTTP and WebSocket.
    var tcp = false
    /// Packets come back as they are.
    var udp = false
    var maxMessage = 1 << 20
    var compress = Compress.no
    var certificate: String?
    var key: String?
    /// A folder whose files are served below /files.
    var files: String?
    /// The Redis or NATS through which messages on /broadcast also reach other servers.
    var cluster: String?
    /// The number of them that it keeps.
    var history = 0

    init(_ arguments: [String]) {
        var rest = arguments.dropFirst()
        while let name = rest.popFirst() {
            if name == "--tcp" {
                tcp = true
                continue
            }
            if name == "--udp" {
                udp = true
                continue
            }
            guard let value = rest.popFirst() else { fail("\(name) needs a value") }
            switch name {
            case "--host": host = value
            case "--port": port = number(value, name)
            case "--mode": mode = choice(value, name)
            case "--workers": workers = number(value, name)
            case "--reactors": reactors = number(value, name)
            case "--handler": handler = choice(value, name)
            case "--max-message": maxMessage = number(value, name)
            case "--compress": compress = choice(value, name)
            case "--cert": certificate = value
            case "--key": key = value
            case "--files": files = value
            case "--cluster": cluster = value
            case "--history": history = number(value, name)
            default:
                fail(
                    """
                    unknown option \(name)
                    usage: echo [--tcp | --udp] [--host ADDRESS] [--port N] [--mode process|base] [--workers N] [--reactors N] \
                    [--handler callback|span|async|straight|routed|prepared|wrapped|logged] [--max-message BYTES] \
                    [--compress yes|no] [--cert FILE --key FILE] [--files FOLDER] \
                    [--cluster URL [--history N]]
                    """)
            }
        }
    }
}

func number(_ text: String, _ name: String) -> Int {
    guard let value = Int(text) else { fail("\(name) needs a number, not \(text)") }
    return value
}

func choice<Choice: RawRepresentable & CaseIterable>(_ text: String, _ name: String) -> Choice
where Choice.RawValue == String {
    guard let value = Choice(rawValue: text) else {
        fail("\(name) is one of \(Choice.allCases.map(\.rawValue).joined(separator: ", ")), not \(text)")
    }
    return value
}

func fail(_ message: String) -> Never {
    let line = Array("echo: \(message)\n".utf8)
    _ = write(2, line, line.count)
    exit(2)
}
