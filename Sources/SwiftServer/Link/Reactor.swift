internal import CReactor
internal import CReactorInternal

/// A reactor thread of the master. It lives as long as the process serves.
@safe struct Reactor: Sendable {
    // Every function that is called with it says "any thread", but the last, which ends it.
    nonisolated(unsafe) private let raw: OpaquePointer

    /// Starts the thread. `started` is called on it first, and an error ends it; `violation` when the worker behind a node
    /// has written nonsense.
    init(
        node: Int, bus: Bus, engine: cre_engine_config, tls: [TLSContext?],
        started: @escaping @Sendable () -> Int32, violation: @escaping @Sendable (_ node: Int) -> Void
    ) throws(ServerError) {
        // Never released: the thread may call it until the process ends.
        let box = unsafe Unmanaged.passRetained(Calls(started: started, violation: violation)).toOpaque()
        var config = unsafe cre_reactor_config(
            bus: bus.raw, node: UInt32(node), engine: engine,
            violation: { context, node in
                unsafe Unmanaged<Calls>.fromOpaque(context!).takeUnretainedValue().violation(Int(node))
            }, started: { context in unsafe Unmanaged<Calls>.fromOpaque(context!).takeUnretainedValue().started() },
            context: box)
        var reactor: OpaquePointer?
        let byPort = unsafe tls.map { unsafe $0?.raw }
        let result = unsafe byPort.withUnsafeBufferPointer { ports in
            unsafe config.engine.tls = ports.baseAddress
            unsafe config.engine.tls_count = UInt16(ports.count)
            return unsafe cre_reactor_start(&config, &reactor)
        }
        guard result == 0, let reactor = unsafe reactor else { throw .system("starting reactor \(node)", result) }
        unsafe raw = reactor
    }

    /// Gives it a connection that was accepted.
    func handOver(_ descriptor: Int32, port: UInt16) {
        // Without memory for the hand-over the connection is closed; its client sees that.
        _ = unsafe cre_reactor_hand_over(raw, descriptor, port)
    }

    /// Gives it a socket for datagrams.
    func serve(_ descriptor: Int32, port: UInt16) throws(ServerError) {
        let result = unsafe cre_reactor_serve(raw, descriptor, port)
        guard result == 0 else { throw .system("serving port \(port)", result) }
    }

    /// Has it close its connections. `done` is called on its thread when none is left. False: it could not be asked.
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

    /// Ends the thread and waits for it.
    func stop() { unsafe cre_reactor_stop(raw) }

    private final class Calls: Sendable {
        let started: @Sendable () -> Int32
        let violation: @Sendable (Int) -> Void

        init(started: @escaping @Sendable () -> Int32, violation: @escaping @Sendable (Int) -> Void) {
            self.started = started
            self.violation = violation
        }
    }

    private final class Box<Value: Sendable>: Sendable {
        let value: Value
        init(_ value: Value) { self.value = value }
    }
}
