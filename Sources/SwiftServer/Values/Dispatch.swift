internal import CReactor

/// Which worker gets the events of a connection, in process mode. In base mode the kernel shares the connections out,
/// and this has no effect.
///
/// A connection gets its worker when it is accepted and keeps it for life, so all its events come in order, and who
/// hears of its opening hears of its end. Datagrams, which have no beginning, are decided on one by one.
public enum Dispatch: Sendable {
    /// Connections in turn, all datagrams of one sender to one worker. The default.
    case byConnection
    /// Each connection and each datagram to the next worker.
    case roundRobin
    /// To a worker that waits for something to do: for handlers that block. While all are busy, connections go to the
    /// worker with the fewest and datagrams to the next one.
    case idleFirst
    /// Each connection to the worker with the fewest connections; datagrams as with ``byConnection``.
    case leastConnections
    /// All of one remote address to one worker.
    case byAddress
    /// A connection that has a number (``Server/bind(_:to:)``) belongs to the worker of that number; until then as with
    /// ``byConnection``.
    case byUser
    /// As this function says: the number of a worker. `nil`, or a number that no worker has, leaves it to
    /// ``byConnection``; a negative number drops the datagram, or closes the connection, and nobody hears of it.
    ///
    /// It is called in the master, on the threads that do all socket work, on several of them at once: it must not
    /// block, it does not share the memory of workers, and when it crashes the whole server does.
    case function(@Sendable (DispatchInfo) -> Int?)
}

extension Dispatch {
    /// Has an engine deal by this rule. `ports` are the numbers of the server's ports; what is made here is kept for
    /// the life of the process.
    func apply(to config: inout cre_engine_config, ports: [Int]) {
        unsafe config.dispatch =
            switch self {
            case .byConnection: CRE_DISPATCH_BY_CONNECTION
            case .roundRobin: CRE_DISPATCH_ROUND_ROBIN
            case .idleFirst: CRE_DISPATCH_IDLE
            case .leastConnections: CRE_DISPATCH_LEAST_CONNECTIONS
            case .byAddress: CRE_DISPATCH_BY_ADDRESS
            case .byUser: CRE_DISPATCH_BY_NUMBER
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
