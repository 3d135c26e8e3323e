/// Handlers of streams and datagrams. An asynchronous handler runs in its connection's lane; a synchronous one is
/// queued there only while another handler of the connection is suspended.
extension ConnectionHandlers {
    static func connect<S>(
        _ owner: HandlerOwner<S>, _ handler: @escaping @MainActor (S, ConnectionID) throws -> Void
    ) -> (WorkerContext, ConnectionID) -> Void {
        let direct = MainLoop.direct(handler)
        return { worker, fd in
            owner.with { do { try direct($0, fd) } catch { worker.handlerFailed(.connect, fd, error) } }
        }
    }

    static func connect<S>(
        _ owner: HandlerOwner<S>, _ handler: @escaping @MainActor (S, ConnectionID) async throws -> Void
    ) -> (WorkerContext, ConnectionID) -> Void {
        { worker, fd in
            worker.lanes.run(fd, .connect) { try await handler(owner.object, fd) }
        }
    }

    static func receive<S>(
        _ owner: HandlerOwner<S>, _ handler: @escaping @MainActor (S, ConnectionID, [UInt8]) throws -> Void
    ) -> (WorkerContext, ConnectionID, UnsafeRawBufferPointer) -> Void {
        let direct = PlainHandlers.Receive(call: handler).plain
        return { worker, fd, payload in
            assert(worker.isHere, "handlers run on the loop")
            let bytes = unsafe [UInt8](payload)
            guard worker.isBusy(fd) else {
                return owner.with {
                    do { try direct.call($0, fd, bytes) } catch { worker.handlerFailed(.receive, fd, error) }
                }
            }
            worker.lanes.run(fd, .receive, bytes: payload.count) { try handler(owner.object, fd, bytes) }
        }
    }

    static func receive<S>(
        _ owner: HandlerOwner<S>, _ handler: @escaping @MainActor (S, ConnectionID, [UInt8]) async throws -> Void
    ) -> (WorkerContext, ConnectionID, UnsafeRawBufferPointer) -> Void {
        { worker, fd, payload in
            let bytes = unsafe [UInt8](payload)
            worker.lanes.run(fd, .receive, bytes: payload.count) { try await handler(owner.object, fd, bytes) }
        }
    }

    static func receiveSpan<S>(
        _ owner: HandlerOwner<S>, _ handler: @escaping @MainActor (S, ConnectionID, RawSpan) throws -> Void
    ) -> (WorkerContext, ConnectionID, UnsafeRawBufferPointer) -> Void {
        let direct = PlainHandlers.ReceiveSpan(call: handler).plain
        return { worker, fd, payload in
            assert(worker.isHere, "handlers run on the loop")
            guard worker.isBusy(fd) else {
                return owner.with {
                    do { unsafe try direct.call($0, fd, payload.bytes) } catch {
                        worker.handlerFailed(.receive, fd, error)
                    }
                }
            }
            let copy = unsafe [UInt8](payload)
            worker.lanes.run(fd, .receive, bytes: payload.count) {
                try handler(owner.object, fd, unsafe copy.span.bytes)
            }
        }
    }

    static func packet<S>(
        _ owner: HandlerOwner<S>, _ handler: @escaping @MainActor (S, [UInt8], SocketAddress) throws -> Void
    ) -> (WorkerContext, SocketAddress, UnsafeRawBufferPointer) -> Void {
        let direct = MainLoop.direct(handler)
        return { worker, sender, payload in
            let bytes = unsafe [UInt8](payload)
            owner.with { do { try direct($0, bytes, sender) } catch { worker.handlerFailed(.packet, error) } }
        }
    }

    static func packet<S>(
        _ owner: HandlerOwner<S>, _ handler: @escaping @MainActor (S, [UInt8], SocketAddress) async throws -> Void
    ) -> (WorkerContext, SocketAddress, UnsafeRawBufferPointer) -> Void {
        { worker, sender, payload in
            // Datagrams may be lost: further ones are dropped instead of piling up behind suspended handlers.
            guard worker.lanes.runners.suspended < HandlerRunners.mostPackets else { return }
            let bytes = unsafe [UInt8](payload)
            worker.lanes.runners.start(.packet) { try await handler(owner.object, bytes, sender) }
        }
    }

    static func close<S>(
        _ owner: HandlerOwner<S>, _ handler: @escaping @MainActor (S, ConnectionID, CloseReason) throws -> Void
    ) -> (WorkerContext, ConnectionID, CloseReason) -> Void {
        let direct = MainLoop.direct(handler)
        return { worker, fd, reason in
            guard worker.isBusy(fd) else {
                return owner.with {
                    do { try direct($0, fd, reason) } catch { worker.handlerFailed(.close, fd, error) }
                }
            }
            worker.lanes.run(fd, .close) { try handler(owner.object, fd, reason) }
        }
    }

    static func close<S>(
        _ owner: HandlerOwner<S>, _ handler: @escaping @MainActor (S, ConnectionID, CloseReason) async throws -> Void
    ) -> (WorkerContext, ConnectionID, CloseReason) -> Void {
        { worker, fd, reason in
            worker.lanes.run(fd, .close) { try await handler(owner.object, fd, reason) }
        }
    }

    /// Runs at once, also while another handler of the connection is suspended: that one may be waiting for this event.
    static func drain<S>(
        _ owner: HandlerOwner<S>, _ handler: @escaping @MainActor (S, ConnectionID) throws -> Void
    ) -> (WorkerContext, ConnectionID) -> Void {
        let direct = MainLoop.direct(handler)
        return { worker, fd in
            owner.with { do { try direct($0, fd) } catch { worker.handlerFailed(.drain, fd, error) } }
        }
    }

    static func drain<S>(
        _ owner: HandlerOwner<S>, _ handler: @escaping @MainActor (S, ConnectionID) async throws -> Void
    ) -> (WorkerContext, ConnectionID) -> Void {
        { worker, fd in
            worker.lanes.runners.start(.drain, fd) { try await handler(owner.object, fd) }
        }
    }
}
