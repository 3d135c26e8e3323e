import SwiftServer

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

struct Options {
    var host = "127.0.0.1"
    var port = 9501
    var workers = 2
    var mode = ServerMode.process
    /// The port of the dashboard; by default the one behind that of the chat.
    var dashboard: Int?

    init(_ arguments: [String]) {
        var rest = arguments.dropFirst()
        while let name = rest.popFirst() {
            let value = rest.popFirst() ?? ""
            switch (name, Int(value), ServerMode(rawValue: value)) {
            case ("--host", _, _) where value != "": host = value
            case ("--port", let number?, _): port = number
            case ("--workers", let number?, _): workers = number
            case ("--dashboard", let number?, _): dashboard = number
            case ("--mode", _, let mode?): self.mode = mode
            default:
                fail(
                    "usage: chat [--host ADDRESS] [--port N] [--workers N] [--mode process|base] [--dashboard PORT]")
            }
        }
    }

    /// The port to ask for: 0 lets the system choose one, as for the chat.
    var dashboardPort: Int { dashboard ?? (port == 0 ? 0 : port + 1) }

    /// What to type into a browser on this machine.
    func url(port: Int) -> String {
        let name = ["0.0.0.0", "::"].contains(host) ? "localhost" : host.contains(":") ? "[\(host)]" : host
        return "http://\(name):\(port)/"
    }
}

func fail(_ message: String) -> Never {
    let line = Array("chat: \(message)\n".utf8)
    _ = write(2, line, line.count)
    exit(2)
}
