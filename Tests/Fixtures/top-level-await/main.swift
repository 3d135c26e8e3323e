// A server in a program that awaits at its top level, after the server has ended.
import Glibc
import SwiftServer
import TestProtocol

alarm(60)  // should nobody stop it
let configuration = try Configuration(arguments: CommandLine.arguments)
let server = WebSocketServer(port: 0, mode: configuration.mode)
server.processName = "fixture"
configuration.apply(to: server)
server.onMessage { server, frame in server.push(frame, to: frame.fd) }
server.onRequest { _, response in response.end("hello") }
server.onStart { Event.ready(port: $0.port, pid: getpid(), ports: [$0.port]).report() }
let first = Task { Event.firstTask.report() }
try server.start()
await first.value
await Task.yield()
await Task.detached {}.value
Event.returned.report()
