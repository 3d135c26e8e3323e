/// Handlers of streams and datagrams. An asynchronous handler runs in its connection's lane; a synchronous one is
/// queued there only while another handler of the connection is suspended.
extension ConnectionHandlers {
    static func connect<S>(
        _ owner: HandlerOwner<S>, _ handler: @escaping @MainActor (S, ConnectionID) -> Void
    ) -> (WorkerContext, ConnectionID) -> Void {
        let direct = MainLoop.direct(handler)
        return { _, fd in owner.with { direct($0, fd) } }
    }

    static func connect<S>(
        _ owner: HandlerOwner<S>, _ handler: @escaping @MainActor (S, ConnectionID) async -> Void
    ) -> (WorkerContext, ConnectionID) -> Void {
        { worker, fd in worker.lanes.run(fd) { await handler(owner.object, fd) } }
    }

    static func receive<S>(
        _ owner: HandlerOwner<S>, _ handler: @escaping @MainActor (S, ConnectionID, [UInt8]) -> Void
    ) -> (WorkerContext, ConnectionID, UnsafeRawBufferPointer) -> Void {
        let direct = MainLoop.direct(handler)
        return { worker, fd, payload in
            let bytes = unsafe [UInt8](payload)
            guard worker.isBusy(fd) else { return owner.with { direct($0, fd, bytes) } }
            worker.lanes.run(fd, bytes: payload.count) { handler(owner.object, fd, bytes) }
        }
    }

    static func receive<S>(
        _ owner: HandlerOwner<S>, _ handler: @escaping @MainActor (S, ConnectionID, [UInt8]) async -> Void
    ) -> (WorkerContext, ConnectionID, UnsafeRawBufferPointer) -> Void {
        { worker, fd, payload in
            let bytes = unsafe [UInt8](payload)
            worker.lanes.run(fd, bytes: payload.count) { await handler(owner.object, fd, bytes) }
        }
    }

    static func receive<S>(
        _ owner: HandlerOwner<S>, _ handler: @escaping @MainActor (S, ConnectionID, RawSpan) -> Void
    ) -> (WorkerContext, ConnectionID, UnsafeRawBufferPointer) -> Void {
        let direct = unsafe unsafeBitCast(handler, to: ((S, ConnectionID, RawSpan) -> Void).self)
        return { worker, fd, payload in
            assert(worker.isHere, "handlers run on the loop")
            guard worker.isBusy(fd) else { return owner.with { unsafe direct($0, fd, payload.bytes) } }
            let copy = unsafe [UInt8](payload)
            worker.lanes.run(fd, bytes: payload.count) { handler(owner.object, fd, unsafe copy.span.bytes) }
        }
    }

    static func packet<S>(
        _ owner: HandlerOwner<S>, _ handler: @escaping @MainActor (S, [UInt8], SocketAddress) -> Void
    ) -> (WorkerContext, SocketAddress, UnsafeRawBufferPointer) -> Void {
        let direct = MainLoop.direct(handler)
        return { _, sender, payload in
            let bytes = unsafe [UInt8](payload)
            owner.with { direct($0, bytes, sender) }
        }
    }

    static func packet<S>(
        _ owner: HandlerOwner<S>, _ handler: @escaping @MainActor (S, [UInt8], SocketAddress) async -> Void
    ) -> (WorkerContext, SocketAddress, UnsafeRawBufferPointer) -> Void {
        { worker, sender, payload in
            // Datagrams may be lost: further ones are dropped instead of piling up behind suspended handlers.
            guard worker.lanes.runners.suspended < HandlerRunners.mostPackets else { return }
            let bytes = unsafe [UInt8](payload)
            worker.lanes.runners.start { await handler(owner.object, bytes, sender) }
        }
    }

    static func close<S>(
        _ owner: HandlerOwner<S>, _ handler: @escaping @MainActor (S, ConnectionID, CloseReason) -> Void
    ) -> (WorkerContext, ConnectionID, CloseReason) -> Void {
        let direct = MainLoop.direct(handler)
        return { worker, fd, reason in
            guard worker.isBusy(fd) else { return owner.with { direct($0, fd, reason) } }
            worker.lanes.run(fd) { handler(owner.object, fd, reason) }
        }
    }

    static func close<S>(
        _ owner: HandlerOwner<S>, _ handler: @escaping @MainActor (S, ConnectionID, CloseReason) async -> Void
    ) -> (WorkerContext, ConnectionID, CloseReason) -> Void {
        { worker, fd, reason in worker.lanes.run(fd) { await handler(owner.object, fd, reason) } }
    }

    /// Runs at once, also while another handler of the connection is suspended: that one may be waiting for this event.
    static func drain<S>(
        _ owner: HandlerOwner<S>, _ handler: @escaping @MainActor (S, ConnectionID) -> Void
    ) -> (WorkerContext, ConnectionID) -> Void {
        let direct = MainLoop.direct(handler)
        return { _, fd in owner.with { direct($0, fd) } }
    }

    static func drain<S>(
        _ owner: HandlerOwner<S>, _ handler: @escaping @MainActor (S, ConnectionID) async -> Void
    ) -> (WorkerContext, ConnectionID) -> Void {
        { worker, fd in worker.lanes.runners.start { await handler(owner.object, fd) } }
    }
}
