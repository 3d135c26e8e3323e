internal import CReactor

/// The rule by which connections are assigned to workers, in process mode. In base mode the kernel distributes the
/// connections, and the rule has no effect.
///
/// A connection gets its worker when it is accepted and keeps it for life, so its events are delivered in order to one
/// worker, from its opening to its close. Datagrams are assigned one by one.
public enum Dispatch: Sendable {
    /// Connections in turn, all datagrams of one sender to one worker. The default.
    case byConnection
    /// Each connection and each datagram to the next worker.
    case roundRobin
    /// To an idle worker: for handlers that block. While all are busy, connections go to the worker with the fewest
    /// connections, and datagrams to the next worker.
    case idleFirst
    /// Each connection to the worker with the fewest connections; datagrams as with ``byConnection``.
    case leastConnections
    /// All connections and datagrams of one remote address to one worker.
    case byAddress
    /// A connection with a user id (``Server/bind(_:to:)->CommandResult``) belongs to the worker of that id;
    /// until then as with ``byConnection``.
    case byUser
    /// To the worker whose number the function returns. `nil`, or an unknown number, falls back to ``byConnection``; a
    /// negative number drops the datagram, or closes the connection without an event.
    ///
    /// The function is called in the master, on several reactor threads at once: it must not block, it does not share
    /// the memory of workers, and its crash ends the whole server.
    case function(@Sendable (DispatchInfo) -> Int?)
}

extension Dispatch {
    var isByUser: Bool { if case .byUser = self { true } else { false } }

    /// Sets the rule in the configuration of an engine. `ports` are the bound ports of the server. What is allocated
    /// here is kept for the life of the process.
    func apply(to config: inout cre_engine_config, ports: [Int]) {
        unsafe config.dispatch =
            switch self {
            case .byConnection: CRE_DISPATCH_BY_CONNECTION
            case .roundRobin: CRE_DISPATCH_ROUND_ROBIN
            case .idleFirst: CRE_DISPATCH_IDLE
            case .leastConnections: CRE_DISPATCH_LEAST_CONNECTIONS
            case .byAddress: CRE_DISPATCH_BY_ADDRESS
            case .byUser: CRE_DISPATCH_BY_USER
            case .function: CRE_DISPATCH_FUNCTION
            }
        guard case .function(let function) = self else { return }
        unsafe config.dispatch_context = Unmanaged.passRetained(Function(function, ports)).toOpaque()
        unsafe config.dispatch_function = { context, info in
            unsafe Unmanaged<Function>.fromOpaque(context!)._withUnsafeGuaranteedRef { unsafe $0.call(info!.pointee) }
        }
    }

    private final class Function: Sendable {
        private let function: @Sendable (DispatchInfo) -> Int?
        private let ports: [Int]

        init(_ function: @escaping @Sendable (DispatchInfo) -> Int?, _ ports: [Int]) {
            self.function = function
            self.ports = ports
        }

        func call(_ info: cre_dispatch_info) -> Int32 {
            let packet = unsafe UnsafeBufferPointer(start: info.data, count: info.length)
            let decision = function(
                DispatchInfo(
                    serverPort: unsafe ports[Int(info.port)],
                    remoteAddress: unsafe SocketAddress(info.from.pointee, receivedOn: nil),
                    workerCount: unsafe Int(info.worker_count),
                    packet: unsafe info.datagram ? [UInt8](packet) : nil))
            guard let decision else { return Int32(CRE_DISPATCH_RULE) }
            return decision < 0 ? Int32(CRE_DISPATCH_REFUSE) : Int32(clamping: decision)
        }
    }
}
