// The server of the process tests. Its scenario says which handlers it has; each of them tells on standard output, one
// line each, what happened and where, and the tests wait for these lines.
import Glibc
import SwiftServer

let options = Options(CommandLine.arguments + Tail.words)
// Should the tests be cut off before they stop it.
alarm(options.patience)

guard let register = Scenarios.all[options.scenario] else {
    print("no scenario \(options.scenario)")
    exit(2)
}
let server = WebSocketServer(
    host: options["host"] ?? "127.0.0.1", port: options.number("port") ?? 0, mode: options.mode)
server.processName = "fixture"
options.apply(to: &server.settings)
server.tls = options.tls
print("before the start")
Scenarios.tellLifeCycle(server, options)
register(server, options)

do throws(ServerError) {
    try server.start()
    print("returned")
    if options["again"] != nil { try server.start() }
} catch {
    print("error \(error.code): \(error.message)")
    exit(3)
}
