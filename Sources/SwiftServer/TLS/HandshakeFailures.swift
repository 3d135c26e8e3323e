/// Logs failed handshakes: at most one line a second, because any client can cause any number of them.
enum HandshakeFailures {
    private struct State {
        var next = ContinuousClock.now
        var suppressed = 0
    }

    // Not a `Mutex`: see `Lock`. Workers that own their sockets are forked.
    private static let state = Lock(State())

    static func log(peer: String, cause: String) {
        let suppressed: Int? = state.withLock { state in
            let now = ContinuousClock.now
            guard now >= state.next else {
                state.suppressed += 1
                return nil
            }
            defer { state = State(next: now + .seconds(1)) }
            return state.suppressed
        }
        guard let suppressed else { return }
        let others = suppressed == 0 ? "" : " (and \(suppressed) before)"
        Log.notice("TLS handshake with \(peer) failed: \(cause)\(others)")
    }
}
