internal import CReactor

/// Settings of a port in the form of the C core.
extension PortSettings {
    /// Returns the options of a port. Their pointers are never freed.
    func options(_ spoken: PortProtocol, servesHTTP: Bool) -> cre_port_options {
        var options = unsafe cre_port_options()
        unsafe options.size = MemoryLayout<cre_port_options>.size
        unsafe options.`protocol` =
            switch spoken {
            case .webSocket: CRE_PROTOCOL_WEBSOCKET
            case .http: CRE_PROTOCOL_HTTP
            case .tcp: CRE_PROTOCOL_STREAM
            case .udp: CRE_PROTOCOL_DATAGRAM
            }
        unsafe options.http = servesHTTP
        unsafe options.nagle = !noDelay
        if let framing = unsafe framing.config(maxLength: maxPacket) {
            let copy = UnsafeMutablePointer<cre_framing_config>.allocate(capacity: 1)
            unsafe copy.initialize(to: framing)
            unsafe options.framing = UnsafePointer(copy)
        }
        if let ranges = proxyProtocol?.ranges {
            let copy = UnsafeMutableBufferPointer<cre_address_range>.allocate(capacity: ranges.count)
            _ = unsafe copy.initialize(from: ranges)
            unsafe options.proxies = UnsafePointer(copy.baseAddress)
            unsafe options.proxy_count = UInt32(ranges.count)
        }
        unsafe options.max_message = UInt64(maxMessage ?? 0)
        unsafe options.max_head = UInt32(maxHead ?? 0)
        unsafe options.max_body = UInt32(maxBody ?? 0)
        unsafe options.max_queue = UInt32(maxQueue ?? 0)
        unsafe options.head_timeout_ms = UInt32(headTimeout?.milliseconds ?? 0)
        unsafe options.body_timeout_ms = UInt32(bodyTimeout?.milliseconds ?? 0)
        unsafe options.message_timeout_ms = UInt32(messageTimeout?.milliseconds ?? 0)
        unsafe options.idle_timeout_ms = UInt32(idleTimeout?.milliseconds ?? 0)
        unsafe options.close_timeout_ms = UInt32(closeTimeout?.milliseconds ?? 0)
        unsafe options.http1_only = http2 == false
        unsafe options.max_streams = UInt32(maxStreams ?? 0)
        unsafe options.stream_window = UInt32(streamWindow ?? 0)
        unsafe options.connection_window = UInt32(connectionWindow ?? 0)
        return unsafe options
    }

    func listenOptions(isDatagram: Bool, backlog: Int) -> cre_listen_options {
        var options = unsafe cre_listen_options()
        unsafe options.size = MemoryLayout<cre_listen_options>.size
        unsafe options.backlog = Int32(clamping: self.backlog ?? backlog)
        unsafe options.datagram = isDatagram
        unsafe options.descriptor = descriptor ?? 0
        unsafe options.permissions = permissions
        if let keepAlive {
            unsafe options.keep_alive = true
            unsafe options.keep_idle_s = Int32(clamping: (keepAlive.idle.milliseconds + 999) / 1000)
            unsafe options.keep_interval_s = Int32(clamping: (keepAlive.interval.milliseconds + 999) / 1000)
            unsafe options.keep_count = Int32(clamping: keepAlive.count)
        }
        unsafe options.fast_open = Int32(clamping: fastOpen ?? 0)
        unsafe options.defer_accept_s = Int32(clamping: deferAccept.map { ($0.milliseconds + 999) / 1000 } ?? 0)
        unsafe options.receive_buffer = Int32(clamping: receiveBuffer ?? 0)
        unsafe options.send_buffer = Int32(clamping: sendBuffer ?? 0)
        return unsafe options
    }
}
