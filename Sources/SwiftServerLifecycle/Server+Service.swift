#if ServiceLifecycle
public import ServiceLifecycle
public import SwiftServer

/// A server is a service: `ServiceGroup(services: [server, database], ...)`.
///
/// ```swift
/// let server = WebSocketServer(port: 9501, mode: .single)
/// let group = ServiceGroup(
///     configuration: ServiceGroupConfiguration(
///         services: [.init(service: server, successTerminationBehavior: .gracefullyShutdownGroup)],
///         logger: logger))
/// try await group.run()
/// ```
///
/// A graceful shutdown of the group stops the server in order, as ``Server/shutdown()`` does, and so does its
/// cancellation. A group runs its services on several threads, so the server must be one of ``ServerMode/single``: the
/// other modes fork, and throw ``ServerError`` when threads are running.
///
/// The server itself stops at SIGTERM and SIGINT, so the group needs no `gracefulShutdownSignals`; `run()` returns
/// then, and `successTerminationBehavior: .gracefullyShutdownGroup` stops the other services.
extension Server: Service {
    // The witness of the protocol; `server.run()` is the method of the server itself.
    /// Runs the server as part of a service group: it ends in order when the group shuts down.
    @_disfavoredOverload public func run() async throws {
        try await withGracefulShutdownHandler {
            try await runToEnd()
        } onGracefulShutdown: {
            self.stopRun()
        }
    }
}
#endif
