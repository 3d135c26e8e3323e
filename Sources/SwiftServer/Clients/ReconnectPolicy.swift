/// Whether and when a ``WebSocketClient`` connects again.
///
/// It does so when its connection has ended without a call of its `close`, except after close code 1000, after a
/// certificate that is not trusted, and after a handshake that was refused with a status of 400 to 499 other than 408
/// and 429: trying again would change nothing.
public struct ReconnectPolicy: Sendable, Hashable {
    /// The delay before the first attempt; `nil`: there are no attempts.
    let first: Duration?
    let most: Duration
    let jitter: Double
    let attempts: Int?

    /// The client ends with its connection.
    public static let never = ReconnectPolicy(first: nil, most: .zero, jitter: 0, attempts: 0)

    /// Each delay is twice the one before, minus a random part, so that the clients of a server that was restarted do
    /// not all return at the same time. After a connection that was opened the delays start again.
    ///
    /// - Parameters:
    ///   - first: the delay before the first attempt.
    ///   - most: the longest delay.
    ///   - jitter: the part of a delay that is random, 0 to 1.
    ///   - attempts: how many attempts in a row may fail before the client ends; `nil`: any number.
    public static func exponential(
        from first: Duration = .milliseconds(500), upTo most: Duration = .seconds(30), jitter: Double = 0.5,
        attempts: Int? = nil
    ) -> ReconnectPolicy { ReconnectPolicy(first: first, most: most, jitter: jitter, attempts: attempts) }

    /// The delay before an attempt, of which the first is 1; `nil`: there is no such attempt.
    ///
    /// - Parameter random: 0 to 1.
    func delay(before attempt: Int, random: Double) -> Duration? {
        guard let first, attempt <= attempts ?? .max else { return nil }
        var delay = first
        for _ in 1..<max(1, min(attempt, 64)) where delay < most { delay *= 2 }
        return min(delay, most) * (1 - jitter * random)
    }

    func check() throws(ClientError) {
        guard let first else { return }
        guard first > .zero, most >= first, most.milliseconds <= 86_400_000, (0...1).contains(jitter),
            attempts ?? 1 >= 1
        else {
            throw .argument(
                "reconnects must have delays from above zero up to 1 day, a jitter of 0 to 1, and at least 1 attempt")
        }
    }

    /// Whether an end may be followed by another attempt.
    static func mayFollow(_ ending: ClientEnding) -> Bool {
        if ending.cause == 0 { return ending.closeCode != 1000 }
        if ending.error("").code == .tls { return false }
        guard let status = ending.status else { return true }
        return !(400...499).contains(status) || status == 408 || status == 429
    }
}
