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
}
