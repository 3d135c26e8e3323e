internal import CReactor

/// What is spoken on a port.
public enum PortProtocol: String, Sendable, CaseIterable {
    /// HTTP with the upgrade to WebSocket.
    case webSocket
    /// HTTP without it.
    case http
    /// Plain streams over TCP or a Unix socket: bytes, or packets (see ``Framing``).
    case tcp
    /// Datagrams over UDP or a Unix socket.
    case udp
}

/// Where a packet ends in a stream, which by itself has no bounds.
public struct Framing: Sendable, Hashable {
    let kind: cre_framing_kind.RawValue
    var marker: [UInt8] = []
    var lengthType: Character = "N"
    var lengthOffset = 0
    var bodyOffset = 0

    /// Bytes as they arrive, up to 64 KiB at once. The default.
    public static let none = Framing(kind: CRE_FRAMING_NONE.rawValue)

    /// Each packet ends with these 1 to 8 bytes, which are part of it: one packet for each call.
    public static func endMarker(_ marker: String) -> Framing {
        Framing(kind: CRE_FRAMING_MARKER_SPLIT.rawValue, marker: Array(marker.utf8))
    }

    /// Only the end of what has arrived is looked at: perhaps several packets in one call, to be split by the handler.
    /// Cheaper.
    public static func endMarkerCheck(_ marker: String) -> Framing {
        Framing(kind: CRE_FRAMING_MARKER_CHECK.rawValue, marker: Array(marker.utf8))
    }

    /// A length field: a packet has `bodyOffset` bytes and as many as the field says. What is delivered is all of it.
    ///
    /// - Parameters:
    ///   - type: as in PHP's `pack`: "n", "N", "J" are 2, 4, 8 bytes, highest first; "v", "V", "P" lowest first; "C" is
    ///     one byte.
    ///   - offset: where the field stands.
    ///   - bodyOffset: from where its value counts; 0 when it counts the whole packet.
    public static func length(_ type: Character = "N", offset: Int = 0, bodyOffset: Int = 4) -> Framing {
        Framing(
            kind: CRE_FRAMING_LENGTH.rawValue, lengthType: type, lengthOffset: offset, bodyOffset: bodyOffset)
    }

    /// The fixed header of MQTT 3.1, 3.1.1 and 5: one control packet for each call.
    public static let mqtt = Framing(kind: CRE_FRAMING_MQTT.rawValue)

    /// `nil` when it makes no sense.
    func config(maxLength: Int) -> cre_framing_config? {
        var config = unsafe cre_framing_config()
        unsafe config.kind = cre_framing_kind(rawValue: kind)
        unsafe config.max_length = UInt32(clamping: maxLength)
        guard marker.count <= 8, lengthOffset >= 0, bodyOffset >= 0, let type = lengthType.asciiValue else {
            return nil
        }
        unsafe config.marker_length = UInt8(marker.count)
        unsafe withUnsafeMutableBytes(of: &config.marker) { unsafe $0.copyBytes(from: marker) }
        unsafe config.length_type = CChar(bitPattern: type)
        unsafe config.length_offset = UInt32(clamping: lengthOffset)
        unsafe config.body_offset = UInt32(clamping: bodyOffset)
        return unsafe kind == CRE_FRAMING_NONE.rawValue || cre_framing_config_check(&config) == 0 ? config : nil
    }
}

/// When the system looks whether the peer of an idle connection is still there.
public struct KeepAlive: Sendable, Hashable {
    /// Silence before the first probe.
    public var idle: Duration
    /// Time between the probes.
    public var interval: Duration
    /// So many probes without an answer end the connection.
    public var count: Int

    /// Probes after an hour of silence, each minute, five times, unless something else is said.
    public init(idle: Duration = .seconds(3600), interval: Duration = .seconds(60), count: Int = 5) {
        self.idle = idle
        self.interval = interval
        self.count = count
    }
}

/// What can be set for one port. `nil` means what the server's ``Settings`` say, or else what the system does.
public struct PortSettings: Sendable {
    /// Where packets end, on a `.tcp` port. Default: nowhere.
    public var framing = Framing.none
    /// Bytes of one packet, header and marker included; a longer one ends the connection. Default: 2 MiB.
    public var maxPacket = 2 << 20
    /// See ``Settings/maxMessage``.
    public var maxMessage: Int?
    /// See ``Settings/maxHead``.
    public var maxHead: Int?
    /// See ``Settings/maxBody``.
    public var maxBody: Int?
    /// See ``Settings/streamRequestBodies``.
    public var streamRequestBodies: Bool?
    /// See ``Settings/maxStreamedBody``.
    public var maxStreamedBody: Int?
    /// See ``Settings/maxQueue``.
    public var maxQueue: Int?
    /// See ``Settings/headTimeout``.
    public var headTimeout: Duration?
    /// See ``Settings/bodyTimeout``.
    public var bodyTimeout: Duration?
    /// See ``Settings/idleTimeout``.
    public var idleTimeout: Duration?
    /// See ``Settings/closeTimeout``.
    public var closeTimeout: Duration?
    /// See ``Settings/backlog``.
    public var backlog: Int?
    /// Small answers leave at once instead of waiting for the peer's acknowledgement of earlier ones. Default: true.
    public var noDelay = true
    /// Default: no probes.
    public var keepAlive: KeepAlive?
    /// TCP_FASTOPEN: how many connections may wait with their first data. Default: off.
    public var fastOpen: Int?
    /// TCP_DEFER_ACCEPT: a connection is accepted when it has sent something, or after so long. Default: off.
    public var deferAccept: Duration?
    /// Bytes of the system's receive buffer of each connection.
    public var receiveBuffer: Int?
    /// Bytes of the system's send buffer of each connection.
    public var sendBuffer: Int?
    /// Other servers that ask for it, too, may listen on the same port and share its connections. Default: false.
    public var reusePort = false
    /// Who may connect to a Unix socket, as permissions of its file. Default: 0o600, the same user.
    public var permissions: UInt32 = 0o600
    /// A socket that was bound by somebody else, such as a service manager, is used instead of binding one.
    public var descriptor: Int32?

    /// All defaults.
    public init() {}

    /// The first setting that makes no sense, in words.
    func check(_ name: String, _ spoken: PortProtocol) throws(ServerError) {
        func require(_ good: Bool, _ message: String) throws(ServerError) {
            if !good { throw ServerError(code: .invalidSetting, message: "\(name): \(message)") }
        }
        try require(framing == .none || spoken == .tcp, "a framing belongs to a tcp port, not to \(spoken)")
        try require((1...1 << 28).contains(maxPacket), "maxPacket must be 1 byte to 256 MiB, not \(maxPacket)")
        try require(
            unsafe framing.config(maxLength: maxPacket) != nil,
            "the framing makes no sense: a marker has 1 to 8 bytes, and a length field lies within the packet")
        for (what, value) in [("maxMessage", maxMessage), ("maxBody", maxBody), ("maxQueue", maxQueue)] {
            try require(
                value.map { (1024...1 << 28).contains($0) } ?? true, "\(what) must be 1 KiB to 256 MiB")
        }
        try require(maxStreamedBody.map { $0 >= 1024 } ?? true, "maxStreamedBody must be 1 KiB or more")
        try require(maxHead.map { (256...65_535).contains($0) } ?? true, "maxHead must be 256...65,535 bytes")
        for (what, value) in [
            ("backlog", backlog), ("fastOpen", fastOpen), ("receiveBuffer", receiveBuffer), ("sendBuffer", sendBuffer),
        ] {
            try require(value.map { (1...1 << 30).contains($0) } ?? true, "\(what) must be 1 or more")
        }
        for (what, value) in [
            ("headTimeout", headTimeout), ("bodyTimeout", bodyTimeout), ("idleTimeout", idleTimeout),
            ("closeTimeout", closeTimeout),
        ] {
            try require(
                value.map { $0 >= .milliseconds(1) && $0 <= .seconds(86_400) } ?? true,
                "\(what) must be 1 ms to 1 day")
        }
        // What the system counts in seconds, and takes 0 of for "not set".
        try require(
            keepAlive.map {
                $0.idle >= .seconds(1) && $0.idle <= .seconds(32_767) && $0.interval >= .seconds(1)
                    && $0.interval <= .seconds(32_767) && (1...127).contains($0.count)
            } ?? true, "keepAlive must be 1...32,767 seconds for idle and interval, and 1...127 for count")
        try require(
            deferAccept.map { $0 > .zero && $0 <= .seconds(86_400) } ?? true,
            "deferAccept must be more than nothing, and at most 1 day")
        try require(
            (1...0o777).contains(permissions),
            "permissions must be 0o001...0o777, not 0o\(String(permissions, radix: 8))"
        )
        try require(descriptor.map { $0 > 0 } ?? true, "descriptor must be more than 0")
    }

    func options(_ spoken: PortProtocol, servesHTTP: Bool) -> cre_port_options {
        var options = unsafe cre_port_options()
        unsafe options.`protocol` =
            switch spoken {
            case .webSocket: CRE_PROTOCOL_WEBSOCKET
            case .http: CRE_PROTOCOL_HTTP
            case .tcp: CRE_PROTOCOL_STREAM
            case .udp: CRE_PROTOCOL_DATAGRAM
            }
        unsafe options.http = servesHTTP
        unsafe options.nagle = !noDelay
        if let framing = unsafe framing.config(maxLength: maxPacket) { unsafe options.framing = framing }
        unsafe options.max_message = UInt64(maxMessage ?? 0)
        unsafe options.max_head = UInt32(maxHead ?? 0)
        unsafe options.max_body = UInt32(maxBody ?? 0)
        unsafe options.max_queue = UInt32(maxQueue ?? 0)
        unsafe options.head_timeout_ms = UInt32(headTimeout?.milliseconds ?? 0)
        unsafe options.body_timeout_ms = UInt32(bodyTimeout?.milliseconds ?? 0)
        unsafe options.idle_timeout_ms = UInt32(idleTimeout?.milliseconds ?? 0)
        unsafe options.close_timeout_ms = UInt32(closeTimeout?.milliseconds ?? 0)
        return unsafe options
    }

    func listenOptions(isDatagram: Bool, backlog: Int) -> cre_listen_options {
        var options = unsafe cre_listen_options()
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
