internal import CReactor
internal import CReactorInternal

/// A reactor thread of the master. It lives as long as the process serves.
@safe struct Reactor: Sendable {
    // All functions called with it are documented for any thread, except the last, which ends it.
    nonisolated(unsafe) private let raw: OpaquePointer

    /// Starts the thread. It calls `started` first, whose error ends it, `protocolError` when the worker of a node
    /// has written a corrupt record, and `repaired` when it has restored values that a worker has overwritten.
    /// `cluster` must live as long as the reactor.
    init(
        node: Int, bus: Bus, engine: cre_engine_config, tls: [TLSContext?], cluster: UnsafePointer<cre_cluster_place>?,
        started: @escaping @Sendable () -> Int32, protocolError: @escaping @Sendable (_ node: Int) -> Void,
        repaired: @escaping @Sendable (_ count: UInt64) -> Void
    ) throws(ServerError) {
        // Never released: the thread may call it until the process ends.
        let calls = Calls(started: started, protocolError: protocolError, repaired: repaired)
        let box = unsafe Unmanaged.passRetained(calls).toOpaque()
        var config = unsafe cre_reactor_config(
            bus: bus.raw, node: UInt32(node), engine: engine,
            violation: { context, node in
                unsafe Unmanaged<Calls>.fromOpaque(context!).takeUnretainedValue().protocolError(Int(node))
            },
            repaired: { context, count in
                unsafe Unmanaged<Calls>.fromOpaque(context!).takeUnretainedValue().repaired(count)
            }, started: { context in unsafe Unmanaged<Calls>.fromOpaque(context!).takeUnretainedValue().started() },
            context: box, cluster: cluster)
        var reactor: OpaquePointer?
        let byPort = unsafe tls.map { unsafe $0?.raw }
        let result = unsafe byPort.withUnsafeBufferPointer { ports in
            unsafe config.engine.tls = ports.baseAddress
            unsafe config.engine.tls_count = UInt16(ports.count)
            return unsafe cre_reactor_start(&config, &reactor)
        }
        guard result == 0, let reactor = unsafe reactor else { throw .system("cannot start reactor \(node)", result) }
        unsafe raw = reactor
    }

    /// Hands over an accepted connection. Returns 0, or an error when there is no memory for that; the connection is
    /// closed then.
    func handOver(_ descriptor: Int32, port: UInt16) -> Int32 { unsafe cre_reactor_hand_over(raw, descriptor, port) }

    /// Hands over a datagram socket.
    func serve(_ descriptor: Int32, port: UInt16) throws(ServerError) {
        let result = unsafe cre_reactor_serve(raw, descriptor, port)
        guard result == 0 else { throw .system("cannot serve port \(port)", result) }
    }

    /// Closes the connections. `done` is called on the reactor's thread when none is left. Returns false, without a
    /// call, when there is no memory for the request.
    func shutDown(deadline: Duration, done: @escaping @Sendable () -> Void) -> Bool {
        let box = unsafe Unmanaged.passRetained(Box(done))
        let result = unsafe cre_reactor_shutdown(
            raw, UInt32(deadline.milliseconds),
            { context in
                unsafe Unmanaged<Box<@Sendable () -> Void>>.fromOpaque(context!).takeRetainedValue().value()
            }, box.toOpaque())
        if result != 0 { unsafe box.release() }
        return result == 0
    }

    /// Stops the thread and waits for its end.
    func stop() { unsafe cre_reactor_stop(raw) }

    private final class Calls: Sendable {
        let started: @Sendable () -> Int32
        let protocolError: @Sendable (Int) -> Void
        let repaired: @Sendable (UInt64) -> Void

        init(
            started: @escaping @Sendable () -> Int32, protocolError: @escaping @Sendable (Int) -> Void,
            repaired: @escaping @Sendable (UInt64) -> Void
        ) {
            self.started = started
            self.protocolError = protocolError
            self.repaired = repaired
        }
    }

    private final class Box<Value: Sendable>: Sendable {
        let value: Value
        init(_ value: Value) { self.value = value }
    }
}
