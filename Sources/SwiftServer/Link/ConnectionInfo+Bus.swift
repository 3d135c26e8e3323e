internal import CReactor
internal import CReactorInternal
internal import Glibc

extension ConnectionInfo {
    /// The ports and owners of a server, as far as its connections refer to them.
    struct Server: Sendable {
        /// The bound port of each listening socket, and whether it uses TLS.
        var ports: [(number: Int, isSecure: Bool)]
        var reactors: Int
    }

    /// Reads the connection's entry in shared memory, `nil` when the connection is gone. Any process, any thread.
    init?(_ fd: ConnectionID, _ bus: Bus, _ server: Server) {
        var raw = cre_connection_info()
        let size = MemoryLayout<cre_connection_info>.size
        guard unsafe cre_table_get_info(bus.table, fd.rawValue, &raw, size) else { return nil }
        let status: WebSocketStatus =
            switch UInt32(raw.state) {
            case CRE_CONNECTION_OPEN.rawValue: .established
            case CRE_CONNECTION_CLOSING.rawValue: .closing
            default: .none
            }
        let index = Int(raw.port)
        let kind: SocketType =
            switch Int32(raw.family) {
            case AF_INET6: .tcp6
            case AF_UNIX: .unixStream
            default: .tcp
            }
        let port = server.ports.indices.contains(index) ? server.ports[index] : (0, false)
        self.init(
            fd: fd, webSocketStatus: status, serverPort: port.0, portIndex: index, socketType: kind, isSecure: port.1,
            remoteAddress: ConnectionInfo.address(of: raw), remotePort: Int(raw.remote_port),
            connectTime: Double(raw.connect_time_ms) / 1000, lastReceiveTime: Double(raw.last_receive_ms) / 1000,
            lastSendTime: raw.last_send_ms == 0 ? nil : Double(raw.last_send_ms) / 1000,
            workerID: Int(raw.worker) - server.reactors, reactorID: server.reactors > 0 ? Int(raw.owner) : nil,
            queuedBytes: Int(raw.queued), userID: raw.user_id == 0 ? nil : Int(raw.user_id))
    }

    private static func address(of info: cre_connection_info) -> String {
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
