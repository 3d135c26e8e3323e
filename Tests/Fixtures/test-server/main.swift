// The server of the process tests. Its only argument is a `Configuration`, whose scenario says which handlers it has. They
// report events on standard output, which the tests wait for.
import Glibc
import SwiftServer
import TestProtocol

let configuration = try Tail.configuration ?? Configuration(arguments: CommandLine.arguments)
// Should the tests be cut off before they stop it.
alarm(configuration.patience ?? 120)

if configuration.scenario == .datagrams { DatagramScenario.run(configuration) }

let server = WebSocketServer(
    host: configuration.host ?? "127.0.0.1", port: configuration.port ?? 0, mode: configuration.mode)
server.processName = "fixture"
configuration.apply(to: server)
Event.beforeStart.report()
Scenarios.reportLifeCycle(server, configuration)
Scenarios.register(server, configuration)

do throws(ServerError) {
    try server.start()
    Event.returned.report()
    if configuration.startsTwice == true { try server.start() }
} catch {
    Event.error(error.code, error.message).report()
    exit(3)
}
