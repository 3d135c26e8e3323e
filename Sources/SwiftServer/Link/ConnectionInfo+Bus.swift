internal import CReactor
internal import CReactorInternal
internal import Glibc

extension ConnectionInfo {
    /// The ports and owners of a server, as far as its connections refer to them.
    struct Server: Sendable {
        var ports: [Port]
        var reactors: Int

        /// A listening socket.
        struct Port {
            /// The address as it was configured.
            var host: String
            /// The bound port.
            var number: Int
            var type: PortProtocol
            var isSecure: Bool
            /// The descriptors: one, or one of each worker.
            var descriptors: [Int32]
        }
    }

    /// Reads the connection's entry in shared memory, `nil` when the connection is gone; with `ignoringClose` also the
    /// entry that a closed connection has left. Any process, any thread.
    init?(_ fd: ConnectionID, _ bus: Bus, _ server: Server, ignoringClose: Bool = false) {
        var raw = cre_connection_info()
        let size = MemoryLayout<cre_connection_info>.size
        let read = unsafe ignoringClose ? cre_table_get_last_info : cre_table_get_info
        guard unsafe read(bus.table, fd.rawValue, &raw, size) else { return nil }
        let index = Int(raw.port)
        let kind: SocketType =
            switch Int32(raw.family) {
            case AF_INET6: .tcp6
            case AF_UNIX: .unixStream
            default: .tcp
            }
        let port = server.ports.indices.contains(index) ? server.ports[index] : nil
        let isClosed = raw.closed != 0
        let note = isClosed ? Note() : Note(fd, bus)
        let worker = Int(raw.worker) - server.reactors
        let error = raw.close_error
        self.init(
            fd: fd, webSocketStatus: ConnectionInfo.status(of: raw, port?.type), serverPort: port?.number ?? 0,
            portIndex: index, socketType: kind, isSecure: port?.isSecure ?? false,
            remoteAddress: BinaryAddress(raw).text, remotePort: Int(raw.remote_port),
            localAddress: ConnectionInfo.localAddress(raw, port),
            connectTime: Double(raw.connect_time_ms) / 1000, lastReceiveTime: Double(raw.last_receive_ms) / 1000,
            lastSendTime: raw.last_send_ms == 0 ? nil : Double(raw.last_send_ms) / 1000,
            workerID: worker, reactorID: server.reactors > 0 ? Int(raw.owner) : nil,
            queuedBytes: Int(raw.queued), userID: raw.user_id == 0 ? nil : Int(raw.user_id),
            subprotocol: note.subprotocol, userData: note.data, isProtected: raw.excepted != 0,
            serverDescriptor: port.flatMap {
                $0.descriptors.count > 1 && $0.descriptors.indices.contains(worker)
                    ? $0.descriptors[worker] : $0.descriptors.first
            }, isClosed: isClosed,
            closeErrno: (-4095..<0).contains(error) && error > CRE_ENOMEM.rawValue ? -error : 0)
    }

    /// The remote address of a connection, or of one that has left its entry.
    static func remoteAddress(_ fd: ConnectionID, _ bus: Bus) -> String? {
        BinaryAddress(fd, bus)?.text
    }

    /// The local address of a connection, or of one that has left its entry.
    static func localAddress(_ fd: ConnectionID, _ bus: Bus, _ server: Server) -> String? {
        var raw = cre_connection_info()
        let size = MemoryLayout<cre_connection_info>.size
        guard unsafe cre_table_get_last_info(bus.table, fd.rawValue, &raw, size) else { return nil }
        let index = Int(raw.port)
        return localAddress(raw, server.ports.indices.contains(index) ? server.ports[index] : nil)
    }

    private static func localAddress(_ raw: cre_connection_info, _ port: Server.Port?) -> String {
        if raw.local_family == 0, let host = port?.host, host.hasPrefix("unix:") { return host }
        return BinaryAddress(localOf: raw).text
    }

    private static func status(of raw: cre_connection_info, _ type: PortProtocol?) -> WebSocketStatus {
        guard type == .webSocket, raw.closed == 0 else { return .none }
        return switch UInt32(raw.state) {
        case CRE_CONNECTION_OPEN.rawValue: .established
        case CRE_CONNECTION_CLOSING.rawValue: .closing
        default: raw.asking != 0 ? .handshake : .connecting
        }
    }

    /// What the handshake of a WebSocket has left.
    private struct Note {
        var subprotocol: String?
        var data: [UInt8] = []

        init() {}

        init(_ fd: ConnectionID, _ bus: Bus) {
            var note = cre_connection_note()
            guard unsafe cre_table_get_note(bus.table, fd.rawValue, &note) else { return }
            let (name, count) = (Int(note.subprotocol_length), Int(note.data_length))
            if name > 0 {
                subprotocol = unsafe withUnsafeBytes(of: note.subprotocol) {
                    unsafe String(decoding: $0.prefix(name), as: UTF8.self)
                }
            }
            if count > 0 { data = unsafe withUnsafeBytes(of: note.data) { unsafe [UInt8]($0.prefix(count)) } }
        }
    }
}
