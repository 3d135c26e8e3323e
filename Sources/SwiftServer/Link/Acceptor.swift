internal import CReactor

/// Accepts the connections of one listening socket.
@safe final class Acceptor {
    private var raw: OpaquePointer?
    private let accepted: (Int32) -> Void

    init(loop: EventLoop, descriptor: Int32, accepted: @escaping (Int32) -> Void) throws(ServerError) {
        self.accepted = accepted
        let result = unsafe cre_acceptor_start(
            loop.raw, descriptor,
            { context, descriptor in
                unsafe Unmanaged<Acceptor>.fromOpaque(context!)._withUnsafeGuaranteedRef { $0.accepted(descriptor) }
            }, Unmanaged.passUnretained(self).toOpaque(), &raw)
        guard result == 0 else { throw .system("cannot accept connections", result) }
    }

    /// Accepts the waiting connections, then closes the socket.
    func stop() {
        unsafe cre_acceptor_stop(raw)
        unsafe raw = nil
    }
}
