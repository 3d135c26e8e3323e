extension HandshakeHandler {
    /// A handshake is the only request of its connection that is in progress, so its handler needs no lane.
    init(_ handler: @escaping @MainActor (Request, Handshake) async throws -> Void) {
        self.init(decide: { worker, request, timeLimit in
            let handshake = MainActor.assumeIsolated { Handshake(request, worker: worker) }
            var timer: TimerID?
            let isDone = worker.lanes.runners.start {
                do {
                    try await handler(request, handshake)
                    handshake.conclude()
                } catch { handshake.fail("\(error)") }
            } whenLate: {
                if let timer { worker.timers.clear(timer) }
            }
            if isDone { return }
            timer = worker.timers.start(after: timeLimit, every: nil) { _ in
                MainActor.assumeIsolated { handshake.timeOut() }
            }
        })
    }
}
