/// A handler of handshakes as the application has registered it.
final class HandshakeFunction: Sendable {
    let call: @MainActor (Request, Handshake) async throws -> Void

    init(_ call: @escaping @MainActor (Request, Handshake) async throws -> Void) { self.call = call }
}

extension HandshakeHandler {
    /// A handshake is the only request of its connection that is in progress, so its handler needs no lane.
    init(_ handler: @escaping @MainActor (Request, Handshake) async throws -> Void) {
        self.init(
            function: HandshakeFunction(handler),
            decide: { worker, request, timeLimit in
                let handshake = MainActor.assumeIsolated { Handshake(request, worker: worker) }
                let late = worker.lanes.runners.start {
                    do {
                        try await handler(request, handshake)
                        handshake.conclude()
                    } catch { handshake.fail("\(error)") }
                }
                guard let late else { return }
                let timer = worker.timers.start(after: timeLimit, every: nil) { _ in
                    MainActor.assumeIsolated { handshake.timeOut() }
                }
                late.whenLate = { worker.timers.clear(timer) }
            })
    }

    /// Asks the handler inside of middleware, and returns when the handshake is answered and the handler has returned.
    @MainActor func decide(_ request: Request, _ response: Response, _ worker: WorkerContext) async {
        guard let function = function as? HandshakeFunction else { return }
        let handshake = Handshake(request, response: response, worker: worker)
        let timer = worker.timers.start(after: timeLimit, every: nil) { _ in
            MainActor.assumeIsolated { handshake.timeOut() }
        }
        do {
            try await function.call(request, handshake)
            handshake.conclude()
        } catch { handshake.fail("\(error)") }
        worker.timers.clear(timer)
    }
}
