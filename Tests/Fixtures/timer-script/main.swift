// Timers in a program without a server, or with TIMERS=server in one that runs its own before and after a server: what it
// prints is what the test expects.
import Glibc
import SwiftServer

alarm(60)  // should a timer be missing
if unsafe getenv("TIMERS") == nil { try script() } else { try besideServer() }

@MainActor func script() throws {
    // Pending until the loop runs, also those that are cleared before.
    let cleared = Loop.after(.milliseconds(1)) { print("never") }
    print("cleared \(Loop.clearTimer(cleared)) \(Loop.clearTimer(cleared))")
    print("invalid \(Loop.tick(every: .zero) { _ in } == .invalid)")

    var rounds = 0
    Loop.tick(every: .milliseconds(2)) { id in
        rounds += 1
        print("round \(rounds)")
        guard rounds == 5 else { return }
        print("cleared \(Loop.clearTimer(id)) \(Loop.clearTimer(id))")
        Loop.after(.zero) {
            Task {
                await Loop.sleep(for: .milliseconds(1))
                print("slept")
            }
        }
    }
    Loop.after(.milliseconds(1)) {
        do throws(ServerError) { try Loop.run() } catch { print(error.code) }
        let server = Server(port: 0)
        server.onReceive { (_: Server, _: ConnectionID, _: [UInt8]) in }
        do throws(ServerError) { try server.start() } catch { print(error.message) }
    }
    try Loop.run()
    print("returned")
    try Loop.run()
}

@MainActor func besideServer() throws {
    Loop.after(.zero) { print("before the server") }
    try Loop.run()

    // A timer that is pending while a server runs, whose own timers are those of its processes.
    Loop.after(.milliseconds(1)) { print("after the server") }
    let server = Server(port: 0)
    server.settings.workerCount = 1
    server.settings.logLevel = .error
    server.onReceive { (_: Server, _: ConnectionID, _: [UInt8]) in }
    server.onStart { _ in print("master \(Loop.after(.zero) {} == .invalid)") }
    server.onWorkerStart { server, _ in
        do throws(ServerError) { try Loop.run() } catch { print(error.code) }
        let timer = Loop.tick(every: .seconds(3600)) { _ in }
        print("worker \(server.clearTimer(timer)) \(Loop.clearTimer(timer))")
        Loop.after(.milliseconds(1)) {
            print("in the worker")
            server.shutdown()
        }
    }
    try server.start()
    try Loop.run()
    print("end")
}
