/// Handlers of WebSockets.
extension ConnectionHandlers {
    static func open<S>(
        _ owner: HandlerOwner<S>, _ handler: @escaping @MainActor (S, Request) -> Void
    ) -> (WorkerContext, Request) -> Void {
        let direct = MainLoop.direct(handler)
        return { worker, request in
            guard worker.isBusy(request.fd) else { return owner.with { direct($0, request) } }
            worker.lanes.run(request.fd) { handler(owner.object, request) }
        }
    }

    static func open<S>(
        _ owner: HandlerOwner<S>, _ handler: @escaping @MainActor (S, Request) async -> Void
    ) -> (WorkerContext, Request) -> Void {
        { worker, request in worker.lanes.run(request.fd) { await handler(owner.object, request) } }
    }

    static func message<S>(
        _ owner: HandlerOwner<S>, _ handler: @escaping @MainActor (S, Frame) -> Void
    ) -> Message {
        let direct = MainLoop.direct(handler)
        return unsafe Message { worker, fd, opcode, payload in
            let frame = unsafe Frame(fd: fd, opcode: opcode, bytes: [UInt8](payload))
            guard worker.isBusy(fd) else { return owner.with { direct($0, frame) } }
            worker.lanes.run(fd, bytes: payload.count) { handler(owner.object, frame) }
        }
    }

    static func message<S>(
        _ owner: HandlerOwner<S>, _ handler: @escaping @MainActor (S, Frame) async -> Void
    ) -> Message {
        unsafe Message { worker, fd, opcode, payload in
            let frame = unsafe Frame(fd: fd, opcode: opcode, bytes: [UInt8](payload))
            worker.lanes.run(fd, bytes: payload.count) { await handler(owner.object, frame) }
        }
    }

    static func message<S>(
        _ owner: HandlerOwner<S>, _ handler: @escaping @MainActor (S, ConnectionID, Opcode, RawSpan) -> Void
    ) -> Message {
        let direct = unsafe unsafeBitCast(handler, to: ((S, ConnectionID, Opcode, RawSpan) -> Void).self)
        return unsafe Message { worker, fd, opcode, payload in
            assert(worker.isHere, "handlers run on the loop")
            guard worker.isBusy(fd) else { return owner.with { unsafe direct($0, fd, opcode, payload.bytes) } }
            let copy = unsafe [UInt8](payload)
            worker.lanes.run(fd, bytes: payload.count) {
                handler(owner.object, fd, opcode, unsafe copy.span.bytes)
            }
        }
    }
}
