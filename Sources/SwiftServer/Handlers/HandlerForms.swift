/// Handlers in the form in which users write them become those of ``Handlers``. An asynchronous one runs in its
/// connection's lane; a synchronous one waits there only while another one is suspended.
extension Handlers {
    static func connect<S: Server>(
        _ handler: @escaping @MainActor (S, ConnectionID) -> Void
    ) -> (WorkerRuntime, ConnectionID) -> Void {
        let direct = onLoop(handler)
        return { runtime, fd in direct(runtime.server(as: S.self), fd) }
    }

    static func connect<S: Server>(
        _ handler: @escaping @MainActor (S, ConnectionID) async -> Void
    ) -> (WorkerRuntime, ConnectionID) -> Void {
        { runtime, fd in runtime.run(fd) { await handler(runtime.server(as: S.self), fd) } }
    }

    static func receive<S: Server>(
        _ handler: @escaping @MainActor (S, ConnectionID, [UInt8]) -> Void
    ) -> (WorkerRuntime, ConnectionID, UnsafeRawBufferPointer) -> Void {
        let direct = onLoop(handler)
        return { runtime, fd, payload in
            let bytes = unsafe [UInt8](payload)
            guard runtime.isBusy(fd) else { return direct(runtime.server(as: S.self), fd, bytes) }
            runtime.run(fd, bytes: payload.count) { handler(runtime.server(as: S.self), fd, bytes) }
        }
    }

    static func receive<S: Server>(
        _ handler: @escaping @MainActor (S, ConnectionID, [UInt8]) async -> Void
    ) -> (WorkerRuntime, ConnectionID, UnsafeRawBufferPointer) -> Void {
        { runtime, fd, payload in
            let bytes = unsafe [UInt8](payload)
            runtime.run(fd, bytes: payload.count) { await handler(runtime.server(as: S.self), fd, bytes) }
        }
    }

    static func receive<S: Server>(
        _ handler: @escaping @MainActor (S, ConnectionID, RawSpan) -> Void
    ) -> (WorkerRuntime, ConnectionID, UnsafeRawBufferPointer) -> Void {
        let direct = unsafe unsafeBitCast(handler, to: ((S, ConnectionID, RawSpan) -> Void).self)
        return { runtime, fd, payload in
            guard runtime.isBusy(fd) else { return unsafe direct(runtime.server(as: S.self), fd, payload.bytes) }
            let copy = unsafe [UInt8](payload)
            runtime.run(fd, bytes: payload.count) { handler(runtime.server(as: S.self), fd, unsafe copy.span.bytes) }
        }
    }

    static func packet<S: Server>(
        _ handler: @escaping @MainActor (S, [UInt8], SocketAddress) -> Void
    ) -> (WorkerRuntime, SocketAddress, UnsafeRawBufferPointer) -> Void {
        let direct = onLoop(handler)
        return { runtime, sender, payload in
            direct(runtime.server(as: S.self), unsafe [UInt8](payload), sender)
        }
    }

    static func packet<S: Server>(
        _ handler: @escaping @MainActor (S, [UInt8], SocketAddress) async -> Void
    ) -> (WorkerRuntime, SocketAddress, UnsafeRawBufferPointer) -> Void {
        { runtime, sender, payload in
            // Datagrams may be lost, and here they are rather than heap up behind handlers that wait.
            guard runtime.lanes.runners.suspended < HandlerRunners.mostPackets else { return }
            let bytes = unsafe [UInt8](payload)
            _ = runtime.lanes.runners.start {
                await handler(runtime.server(as: S.self), bytes, sender)
            } whenLate: {
            }
        }
    }

    static func close<S: Server>(
        _ handler: @escaping @MainActor (S, ConnectionID, CloseReason) -> Void
    ) -> (WorkerRuntime, ConnectionID, CloseReason) -> Void {
        let direct = onLoop(handler)
        return { runtime, fd, reason in
            guard runtime.isBusy(fd) else { return direct(runtime.server(as: S.self), fd, reason) }
            runtime.run(fd) { handler(runtime.server(as: S.self), fd, reason) }
        }
    }

    static func close<S: Server>(
        _ handler: @escaping @MainActor (S, ConnectionID, CloseReason) async -> Void
    ) -> (WorkerRuntime, ConnectionID, CloseReason) -> Void {
        return { runtime, fd, reason in
            runtime.run(fd) { await handler(runtime.server(as: S.self), fd, reason) }
        }
    }

    static func open<S: Server>(
        _ handler: @escaping @MainActor (S, Request) -> Void
    ) -> (WorkerRuntime, Request) -> Void {
        let direct = onLoop(handler)
        return { runtime, request in
            guard runtime.isBusy(request.fd) else { return direct(runtime.server(as: S.self), request) }
            runtime.run(request.fd) { handler(runtime.server(as: S.self), request) }
        }
    }

    static func open<S: Server>(
        _ handler: @escaping @MainActor (S, Request) async -> Void
    ) -> (WorkerRuntime, Request) -> Void {
        return { runtime, request in
            runtime.run(request.fd) { await handler(runtime.server(as: S.self), request) }
        }
    }

    static func message<S: Server>(
        _ handler: @escaping @MainActor (S, Frame) -> Void
    ) -> (WorkerRuntime, ConnectionID, Opcode, UnsafeRawBufferPointer) -> Void {
        let direct = onLoop(handler)
        return { runtime, fd, opcode, payload in
            let frame = unsafe Frame(fd: fd, opcode: opcode, bytes: [UInt8](payload))
            guard runtime.isBusy(fd) else { return direct(runtime.server(as: S.self), frame) }
            runtime.run(fd, bytes: payload.count) { handler(runtime.server(as: S.self), frame) }
        }
    }

    static func message<S: Server>(
        _ handler: @escaping @MainActor (S, Frame) async -> Void
    ) -> (WorkerRuntime, ConnectionID, Opcode, UnsafeRawBufferPointer) -> Void {
        return { runtime, fd, opcode, payload in
            let frame = unsafe Frame(fd: fd, opcode: opcode, bytes: [UInt8](payload))
            runtime.run(fd, bytes: payload.count) { await handler(runtime.server(as: S.self), frame) }
        }
    }

    static func message<S: Server>(
        _ handler: @escaping @MainActor (S, ConnectionID, Opcode, RawSpan) -> Void
    ) -> (WorkerRuntime, ConnectionID, Opcode, UnsafeRawBufferPointer) -> Void {
        let direct = unsafe unsafeBitCast(handler, to: ((S, ConnectionID, Opcode, RawSpan) -> Void).self)
        return { runtime, fd, opcode, payload in
            guard runtime.isBusy(fd) else {
                return unsafe direct(runtime.server(as: S.self), fd, opcode, payload.bytes)
            }
            let copy = unsafe [UInt8](payload)
            runtime.run(fd, bytes: payload.count) {
                handler(runtime.server(as: S.self), fd, opcode, unsafe copy.span.bytes)
            }
        }
    }

    static func request(
        _ handler: @escaping @MainActor (Request, Response) -> Void
    ) -> (WorkerRuntime, Request) -> Void {
        let direct = onLoop(handler)
        return { runtime, request in
            if runtime.isBusy(request.fd) {
                runtime.run(request.fd) { handler(request, Response(to: request.id, runtime: runtime)) }
            } else {
                direct(request, MainActor.assumeIsolated { Response(to: request.id, runtime: runtime) })
            }
        }
    }

    static func request(
        _ handler: @escaping @MainActor (Request, Response) async -> Void
    ) -> (WorkerRuntime, Request) -> Void {
        return { runtime, request in
            runtime.lanes.runRequest(request.fd) { await handler(request, Response(to: request.id, runtime: runtime)) }
        }
    }
}
