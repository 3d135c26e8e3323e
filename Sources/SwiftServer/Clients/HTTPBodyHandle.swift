internal import Synchronization

/// A body that somebody may read. Its end closes the connection of a body that was not read to its end.
final class HTTPBodyHandle: Sendable {
    let exchange: HTTPExchange

    init(_ exchange: HTTPExchange) { self.exchange = exchange }

    deinit {
        if exchange.isOver.load(ordering: .relaxed) { return }
        let exchange = exchange
        exchange.connections.loop.post { exchange.abort(CancellationError()) }
    }
}
