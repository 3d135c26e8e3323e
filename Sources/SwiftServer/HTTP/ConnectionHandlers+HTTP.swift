/// Handlers of requests.
extension ConnectionHandlers {
    static func request(
        _ handler: @escaping @MainActor (Request, Response) -> Void
    ) -> (WorkerContext, Request) -> Void {
        let direct = MainLoop.direct(handler)
        return { worker, request in
            if worker.isBusy(request.fd) {
                worker.lanes.run(request.fd) { handler(request, Response(to: request.id, worker: worker)) }
            } else {
                direct(request, MainActor.assumeIsolated { Response(to: request.id, worker: worker) })
            }
        }
    }

    static func request(
        _ handler: @escaping @MainActor (Request, Response) async -> Void
    ) -> (WorkerContext, Request) -> Void {
        { worker, request in
            worker.lanes.runRequest(request.fd) { await handler(request, Response(to: request.id, worker: worker)) }
        }
    }
}
