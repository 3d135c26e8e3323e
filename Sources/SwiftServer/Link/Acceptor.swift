internal import CReactor
internal import CReactorInternal

/// Accepts the connections of one listening socket.
@safe final class Acceptor {
    private var raw: OpaquePointer?
    private let bus: Bus
    private let node: Int
    private let accepted: (Int32) -> Void

    /// Connections that cannot be accepted are counted for `node`, that of this process.
    init(
        loop: EventLoop, descriptor: Int32, bus: Bus, node: Int, accepted: @escaping (Int32) -> Void
    ) throws(ServerError) {
        self.bus = bus
        self.node = node
        self.accepted = accepted
        let result = unsafe cre_acceptor_start(
            loop.raw, descriptor,
            { context, descriptor in
                unsafe Unmanaged<Acceptor>.fromOpaque(context!)._withUnsafeGuaranteedRef { $0.accepted(descriptor) }
            }, Unmanaged.passUnretained(self).toOpaque(), &raw)
        guard result == 0 else { throw .system("cannot accept connections", result) }
        unsafe cre_acceptor_on_failure(raw) { context, error, refused in
            unsafe Unmanaged<Acceptor>.fromOpaque(context!)._withUnsafeGuaranteedRef {
                $0.bus.countAcceptFailure(node: $0.node, error, refused: refused)
            }
        }
    }

    /// Accepts the waiting connections, then closes the socket.
    func stop() {
        unsafe cre_acceptor_stop(raw)
        unsafe raw = nil
    }
}
