// A server in a program that awaits at its top level, after the server has ended.
import Glibc
import SwiftServer

alarm(60)  // should nobody stop it
let mode = CommandLine.arguments.first { $0.hasPrefix("mode=") }?.dropFirst(5) ?? "process"
let server = WebSocketServer(port: 0, mode: ServerMode(rawValue: String(mode)) ?? .process)
server.processName = "fixture"
server.settings.workerCount = 1
server.settings.closeTimeout = .milliseconds(100)
server.onMessage { server, frame in server.push(frame, to: frame.fd) }
server.onRequest { _, response in response.end("hello") }
server.onStart { print("ready \($0.port) \(getpid())") }
let first = Task { print("the first task") }
try server.start()
await first.value
await Task.yield()
await Task.detached {}.value
print("returned")
