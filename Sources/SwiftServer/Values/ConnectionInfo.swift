internal import CReactor
internal import CReactorInternal
internal import Glibc

/// What is known of a connection. A snapshot: it does not change afterwards.
public struct ConnectionInfo: Sendable, Hashable {
    /// The connection.
    public let fd: ConnectionID
    /// Whether it is a WebSocket, and if so, in which state.
    public let webSocketStatus: WebSocketStatus
    /// The port of the server that it came in on.
    public let serverPort: Int
    /// The place in ``Server/ports`` of the port whose listening socket it came in on.
    public let portIndex: Int
    /// What kind of socket it is.
    public let socketType: SocketType
    /// Whether it speaks TLS.
    public let isSecure: Bool
    /// The client's address as text, "127.0.0.1" or "::1"; empty when it has none.
    public let remoteAddress: String
    /// The client's port, 0 when it has none.
    public let remotePort: Int
    /// When it connected, in seconds since 1970.
    public let connectTime: Double
    /// When bytes came from it last, to about an eighth of a second; at first the time it connected.
    public let lastReceiveTime: Double
    /// When bytes were last sent to it; `nil`: not yet.
    public let lastSendTime: Double?
    /// The number of the worker whose handlers get its events.
    public let workerID: Int
    /// The number of the reactor thread that owns its socket; `nil` in base mode, where the worker does.
    public let reactorID: Int?
    /// Bytes of output that wait for it.
    public let queuedBytes: Int
    /// The number that it was given with ``Server/bind(_:to:)``.
    public let uid: Int?

    /// Kinds of sockets that have connections, with the numbers by which other servers know them.
    public enum SocketType: Int, Sendable, Hashable {
        /// TCP over IPv4.
        case tcp = 1
        /// TCP over IPv6.
        case tcp6 = 3
        /// A stream on a Unix socket.
        case unixStream = 5
    }

    /// Where a connection is on its way to a WebSocket and back.
    public enum WebSocketStatus: Int, Sendable, Hashable {
        /// No WebSocket, or not yet.
        case none = 0
        /// The handshake is done; messages go both ways.
        case established = 3
        /// The closing handshake is under way.
        case closing = 4
    }
}

extension Server {
    /// What is known of a live connection, `nil` when it is gone. From every process, without asking its owner.
    public func connectionInfo(_ fd: ConnectionID) -> ConnectionInfo? {
        var raw = cre_connection_info()
        guard let bus, unsafe cre_table_info(bus.table, fd.rawValue, &raw) else { return nil }
        let status: ConnectionInfo.WebSocketStatus =
            switch UInt32(raw.state) {
            case CRE_CONNECTION_OPEN.rawValue: .established
            case CRE_CONNECTION_CLOSING.rawValue: .closing
            default: .none
            }
        let index = Int(raw.port)
        let kind: ConnectionInfo.SocketType =
            switch Int32(raw.family) {
            case AF_INET6: .tcp6
            case AF_UNIX: .unixStream
            default: .tcp
            }
        return ConnectionInfo(
            fd: fd, webSocketStatus: status, serverPort: index < ports.count ? ports[index].port : port,
            portIndex: index, socketType: kind, isSecure: index < ports.count && ports[index].tls != nil,
            remoteAddress: Self.text(of: raw), remotePort: Int(raw.remote_port),
            connectTime: Double(raw.connect_time_ms) / 1000, lastReceiveTime: Double(raw.last_receive_ms) / 1000,
            lastSendTime: raw.last_send_ms == 0 ? nil : Double(raw.last_send_ms) / 1000,
            workerID: Int(raw.worker) - settings.reactors(mode: mode),
            reactorID: mode == .process ? Int(raw.owner) : nil,
            queuedBytes: Int(raw.queued), uid: raw.number == 0 ? nil : Int(raw.number))
    }

    /// Excepts a connection from ``Settings/heartbeatIdleTime`` and ``Settings/pingInterval``, or no longer.
    ///
    /// - Returns: false when there is no such connection.
    @discardableResult
    public func protect(_ fd: ConnectionID, _ on: Bool = true) -> Bool {
        guard let runtime, exists(fd) else { return false }
        guard runtime.isHere else {
            runtime.loop.post { runtime.protect(fd, on) }
            return true
        }
        return runtime.protect(fd, on)
    }

    private static func text(of info: cre_connection_info) -> String {
        var address = info.remote_address
        return unsafe withUnsafeBytes(of: &address) { address in
            unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(INET6_ADDRSTRLEN)) { text in
                let result = unsafe inet_ntop(
                    Int32(info.family), address.baseAddress, text.baseAddress, socklen_t(INET6_ADDRSTRLEN))
                return unsafe result.map { unsafe String(cString: $0) } ?? ""
            }
        }
    }
}

extension WorkerRuntime {
    @discardableResult
    fileprivate func protect(_ fd: ConnectionID, _ on: Bool) -> Bool {
        var command = cre_record(
            length: 0, kind: UInt8(CRE_COMMAND_PROTECT.rawValue), opcode: on ? 1 : 0, flags: 0, session: fd.rawValue)
        return unsafe cre_worker_command(worker, &command, nil, 0) == 0
    }
}
