/// Handlers of WebSockets.
extension ConnectionHandlers {
    static func open<S>(
        _ owner: HandlerOwner<S>, _ handler: @escaping @MainActor (S, Request) throws -> Void
    ) -> (WorkerContext, Request) -> Void {
        let direct = MainLoop.direct(handler)
        return { worker, request in
            guard worker.isBusy(request.fd) else {
                return owner.with {
                    do { try direct($0, request) } catch { worker.handlerFailed(.open, request.fd, error) }
                }
            }
            worker.lanes.run(request.fd, .open) { try handler(owner.object, request) }
        }
    }

    static func open<S>(
        _ owner: HandlerOwner<S>, _ handler: @escaping @MainActor (S, Request) async throws -> Void
    ) -> (WorkerContext, Request) -> Void {
        { worker, request in
            worker.lanes.run(request.fd, .open) { try await handler(owner.object, request) }
        }
    }

    static func message<S>(
        _ owner: HandlerOwner<S>, _ handler: @escaping @MainActor (S, Frame) throws -> Void
    ) -> Message {
        let direct = PlainHandlers.Message(call: handler).plain
        return unsafe Message { worker, fd, opcode, payload in
            assert(worker.isHere, "handlers run on the loop")
            unsafe worker.lend(payload) { message in
                let frame = Frame(fd: fd, opcode: opcode, received: message)
                guard worker.isBusy(fd) else {
                    return owner.with {
                        do { try direct.call($0, frame) } catch { worker.handlerFailed(.message, fd, error) }
                    }
                }
                worker.lanes.run(fd, .message, bytes: frame.count) { try handler(owner.object, frame) }
            }
        }
    }

    static func message<S>(
        _ owner: HandlerOwner<S>, _ handler: @escaping @MainActor (S, Frame) async throws -> Void
    ) -> Message {
        unsafe Message { worker, fd, opcode, payload in
            unsafe worker.lend(fd, opcode, payload) { frame in
                guard worker.isBusy(fd) else {
                    let call = HandlerRunners.MessageHandler(handler, owner.object)
                    return worker.lanes.runMessage(fd, consume call, consume frame)
                }
                let (server, frame) = (owner.object, frame)
                worker.lanes.run(fd, .message, bytes: frame.count) { try await handler(server, frame) }
            }
        }
    }

    static func messageSpan<S>(
        _ owner: HandlerOwner<S>, _ handler: @escaping @MainActor (S, ConnectionID, Opcode, RawSpan) throws -> Void
    ) -> Message {
        let direct = PlainHandlers.MessageSpan(call: handler).plain
        return unsafe Message { worker, fd, opcode, payload in
            assert(worker.isHere, "handlers run on the loop")
            guard worker.isBusy(fd) else {
                return owner.with {
                    do { unsafe try direct.call($0, fd, opcode, payload.bytes) } catch {
                        worker.handlerFailed(.message, fd, error)
                    }
                }
            }
            let copy = unsafe [UInt8](payload)
            worker.lanes.run(fd, .message, bytes: payload.count) {
                try handler(owner.object, fd, opcode, unsafe copy.span.bytes)
            }
        }
    }
}
