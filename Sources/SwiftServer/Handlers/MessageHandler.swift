/// The handler of messages, in one of its forms. A worker calls the function of the application itself: a closure that
/// adapts it would execute more than many handlers do.
@safe class MessageHandler: @unchecked Sendable {
    // `@unchecked`: called on the loop's thread only; the server is Sendable.
    /// Not counted, as in ``HandlerOwner``.
    fileprivate let server: Uncounted<AnyObject>

    fileprivate init(_ server: Uncounted<AnyObject>) { self.server = server }

    /// Calls the handler, or queues the message while another handler of its connection is suspended.
    func receive(
        _ worker: WorkerContext, _ fd: ConnectionID, _ opcode: Opcode, _ payload: UnsafeRawBufferPointer
    ) {
        preconditionFailure("each form has its own")
    }
}

/// A handler that gets a frame.
final class FrameHandler: MessageHandler, @unchecked Sendable {
    private let handler: PlainHandlers.Message
    /// ``handler`` in the form in which it is called: a conversion at the call would count its context.
    private let plain: PlainHandlers.Message.Plain

    init<S>(_ owner: HandlerOwner<S>, _ handler: @escaping @MainActor (S, Frame) throws -> Void) {
        self.handler = PlainHandlers.Message(handler)
        plain = self.handler.plain
        super.init(owner.erased)
    }

    override func receive(
        _ worker: WorkerContext, _ fd: ConnectionID, _ opcode: Opcode, _ payload: UnsafeRawBufferPointer
    ) {
        assert(worker.isHere, "handlers run on the loop")
        guard !worker.isBusy(fd) else { return unsafe queue(worker, Frame(fd: fd, opcode: opcode, copied: payload)) }
        unsafe worker.lendUncounted(fd, opcode, payload) { frame in
            server.with {
                do { try plain.call($0, frame) } catch { worker.handlerFailed(.message, fd, error) }
            }
        }
    }

    @inline(never) private func queue(_ worker: WorkerContext, _ frame: Frame) {
        worker.lanes.run(frame.fd, .message, bytes: frame.count) { [self] in try handler.call(server.object, frame) }
    }
}

/// A handler that borrows the bytes.
final class SpanHandler: MessageHandler, @unchecked Sendable {
    private let handler: PlainHandlers.MessageSpan
    /// As in ``FrameHandler``.
    private let plain: PlainHandlers.MessageSpan.Plain

    init<S>(
        _ owner: HandlerOwner<S>, _ handler: @escaping @MainActor (S, ConnectionID, Opcode, RawSpan) throws -> Void
    ) {
        self.handler = PlainHandlers.MessageSpan(handler)
        plain = self.handler.plain
        super.init(owner.erased)
    }

    override func receive(
        _ worker: WorkerContext, _ fd: ConnectionID, _ opcode: Opcode, _ payload: UnsafeRawBufferPointer
    ) {
        assert(worker.isHere, "handlers run on the loop")
        guard !worker.isBusy(fd) else { return unsafe queue(worker, fd, opcode, [UInt8](payload)) }
        server.with {
            do { unsafe try plain.call($0, fd, opcode, payload.bytes) } catch {
                worker.handlerFailed(.message, fd, error)
            }
        }
    }

    @inline(never)
    private func queue(_ worker: WorkerContext, _ fd: ConnectionID, _ opcode: Opcode, _ bytes: [UInt8]) {
        worker.lanes.run(fd, .message, bytes: bytes.count) { [self] in
            try handler.call(server.object, fd, opcode, unsafe bytes.span.bytes)
        }
    }
}

/// An asynchronous handler.
final class AsynchronousFrameHandler: MessageHandler, @unchecked Sendable {
    private let function: HandlerRunners.MessageFunction

    init<S>(_ owner: HandlerOwner<S>, _ handler: @escaping @MainActor (S, Frame) async throws -> Void) {
        function = HandlerRunners.MessageFunction(handler)
        super.init(owner.erased)
    }

    override func receive(
        _ worker: WorkerContext, _ fd: ConnectionID, _ opcode: Opcode, _ payload: UnsafeRawBufferPointer
    ) {
        assert(worker.isHere, "handlers run on the loop")
        guard !worker.isBusy(fd) else { return unsafe queue(worker, Frame(fd: fd, opcode: opcode, copied: payload)) }
        unsafe worker.lendToTask(fd, opcode, payload) { message in
            let call = HandlerRunners.MessageCall(function, server.object)
            worker.lanes.runMessage(fd, consume call, message)
        }
    }

    @inline(never) private func queue(_ worker: WorkerContext, _ frame: Frame) {
        worker.lanes.run(frame.fd, .message, bytes: frame.count) { [self] in
            try await function.call(server.object, frame)
        }
    }
}
