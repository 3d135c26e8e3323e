internal import CReactor

/// The part of an ``HTTPClient`` that runs on one loop.
actor HTTPConnections {
    nonisolated let pool: HTTPPool
    nonisolated var loop: ClientLoop { pool.loop }

    nonisolated var unownedExecutor: UnownedSerialExecutor {
        unsafe pool.loop.loop.executor.asUnownedSerialExecutor()
    }

    init(_ loop: ClientLoop, _ settings: HTTPClientSettings) { pool = HTTPPool(loop, settings) }

    /// How often a request is sent again that an HTTP/2 server has not processed.
    private static let maxRefusals = 5

    // MARK: Requests

    func execute(_ request: HTTPClientRequest) async throws -> HTTPClientResponse {
        try loop.checkRunning()
        let timeout = request.timeout ?? pool.settings.timeout
        if let timeout, timeout <= .zero || timeout > .seconds(86_400) {
            throw ClientError.argument("timeout must be 1 ms to 1 day, got \(timeout)")
        }
        try Task.checkCancellation()
        let exchange = HTTPExchange(self, timeout: timeout)
        do {
            return try await withTaskCancellationHandler {
                try await run(request, exchange)
            } onCancel: {
                loop.post { exchange.abort(CancellationError()) }
            }
        } catch {
            exchange.abort(error)
            throw error
        }
    }

    private func run(_ request: HTTPClientRequest, _ exchange: HTTPExchange) async throws -> HTTPClientResponse {
        var hop = try HTTPHop(request, pool.settings)
        while true {
            let head = try await head(of: hop, exchange)
            guard
                let next = try hop.next(
                    status: head.status, location: head.field("Location"), pool.settings,
                    hasBegunBody: exchange.hasBegunBody)
            else {
                try exchange.settle()
                return HTTPClientResponse(head, hop.url.text, exchange)
            }
            exchange.restart()
            hop = next
        }
    }

    /// Sends a request and waits for the head of its response.
    private func head(of hop: HTTPHop, _ exchange: HTTPExchange) async throws -> HTTPResponseHead {
        var hop = hop
        var isFresh = false
        var refusals = 0
        while true {
            try await pool.assign(hop, exchange, isFresh: isFresh)
            while exchange.head == nil, exchange.end == nil { await exchange.wait() }
            let isRepeatable = hop.body.isRepeatable || !exchange.hasBegunBody
            if let head = exchange.head {
                guard head.status == 417, hop.expectsContinue, isRepeatable else { return head }
                hop = hop.withoutExpectation
                exchange.restart()
                continue
            }
            guard case .failed(let error) = exchange.end else {
                throw ClientError(.protocolError, "\(hop.url.text) sent no response")
            }
            if let refused = error as? HTTPRefusedRequest {
                guard refusals < HTTPConnections.maxRefusals, isRepeatable else { throw refused.error }
                refusals += 1
                exchange.restart()
                continue
            }
            guard let stale = error as? HTTPStaleConnection else { throw error }
            guard !isFresh, hop.isIdempotent, isRepeatable else { throw stale.error }
            isFresh = true
            exchange.restart()
        }
    }

    // MARK: Bodies

    /// The next piece of the body of a response.
    nonisolated func next(_ exchange: HTTPExchange) async throws -> [UInt8]? {
        try await withTaskCancellationHandler {
            try await awaitPiece(of: exchange)
        } onCancel: {
            loop.post { exchange.abort(CancellationError()) }
        }
    }

    /// The operation of a cancellation handler may run on another thread than the loop's. So it is all of this
    /// function, which returns to the loop: between the look at the exchange and the wait there must be no event.
    private func awaitPiece(of exchange: HTTPExchange) async throws -> [UInt8]? {
        while true {
            do {
                if let piece = try exchange.takePiece() { return piece }
                if try exchange.isAtEnd() { return nil }
            } catch {
                exchange.abort(error)
                throw error
            }
            guard !exchange.isWaiting else {
                throw ClientError.argument("two tasks must not read the same body")
            }
            await exchange.wait()
        }
    }

    /// Sends the pieces of a request's body as they come.
    func upload(
        _ produce: @Sendable (HTTPClientRequest.Body.Writer) async throws -> Void,
        trailers: (@Sendable () async throws -> HTTPClient.Fields)?, _ link: HTTPLink, _ exchange: HTTPExchange
    ) async {
        do {
            try await produce { piece in try await self.write(piece, link, exchange) }
            try link.finishBody(of: exchange, trailers: try await trailers?())
        } catch is HTTPLink.Stopped {
            // The response, or the end of the connection, has the cause.
        } catch {
            // A body that is not needed any more is cancelled, which may be what it throws.
            if link.serves(exchange) { exchange.abort(error) }
        }
    }

    private func write(_ piece: [UInt8], _ link: HTTPLink, _ exchange: HTTPExchange) async throws {
        var rest = piece[...]
        repeat {
            let part = rest.prefix(HTTPLink.piece)
            while try !link.write(part, of: exchange) { try await link.awaitRoom() }
            rest = rest.dropFirst(part.count)
        } while !rest.isEmpty
    }
}
