/// Logs failed handshakes: at most one line a second, because any client can cause any number of them.
enum HandshakeFailures {
    private static let limit = LogLimit()

    static func log(peer: String, cause: String) {
        guard let ending = limit.ending() else { return }
        Log.notice("TLS handshake with \(peer) failed: \(cause)\(ending)")
    }
}
