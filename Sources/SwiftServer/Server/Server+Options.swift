extension Server {
    /// Sets options by the names that Swoole has for them, like `["worker_num": 2, "package_max_length": "2M"]`. Each is
    /// another name for what is in ``settings``, or in those of the server's own port; `docs/peer-behaviour.md` lists them.
    ///
    /// Before the start. When one of them is refused, none is set.
    ///
    /// - Throws: ``ServerError`` of the code `invalidSetting`, when there is no such option, its value is of another kind, or
    ///   options contradict each other. Whether a number is in range is checked by ``start()``, as always.
    public func set(_ options: [String: OptionValue]) throws(ServerError) {
        guard masterPID == 0 else { throw .setting("set: the server is started") }
        var draft = OptionDraft(settings: settings, port: ports[0].settings, tls: tls)
        // In the order of their names, so that the same mistake gives the same message.
        for (name, value) in options.sorted(by: { $0.key < $1.key }) {
            guard let option = OptionDraft.options[name] else { throw .setting("set: there is no option \"\(name)\"") }
            guard option.set(&draft, value) else {
                throw .setting("set: \(name) must be \(option.kind), not \(value)")
            }
        }
        try draft.finish()
        settings = draft.settings
        ports[0].settings = draft.port
        tls = draft.tls
    }
}

/// What options have said so far. Some make sense only together.
struct OptionDraft {
    var settings: Settings
    var port: PortSettings
    var tls: TLSConfiguration?

    var marker: String?
    var isMarkerChecked = false
    var isMarkerSplit = false
    var isLengthChecked = false
    var isMQTT = false
    var lengthType: Character?
    var lengthOffset: Int?
    var bodyOffset: Int?
    var certificate: String?
    var key: String?
    var keepsAlive: Bool?
    var keepAlive = KeepAlive()

    init(settings: Settings, port: PortSettings, tls: TLSConfiguration?) {
        self.settings = settings
        self.port = port
        self.tls = tls
    }

    mutating func finish() throws(ServerError) {
        let kinds = [isMarkerChecked || isMarkerSplit, isLengthChecked, isMQTT].count { $0 }
        guard kinds < 2 else { throw .setting("set: a packet ends in one way: end marker, length field or MQTT") }
        guard (marker != nil) == (isMarkerChecked || isMarkerSplit) else {
            throw .setting("set: package_eof and open_eof_check or open_eof_split need each other")
        }
        if let marker { port.framing = isMarkerSplit ? .endMarker(marker) : .endMarkerCheck(marker) }
        let fields = lengthType != nil || lengthOffset != nil || bodyOffset != nil
        guard isLengthChecked || !fields else { throw .setting("set: the length field needs open_length_check") }
        if isLengthChecked {
            port.framing = .length(lengthType ?? "N", offset: lengthOffset ?? 0, bodyOffset: bodyOffset ?? 0)
        }
        if isMQTT { port.framing = .mqtt }
        if keepsAlive == true { port.keepAlive = keepAlive }
        if keepsAlive == false { port.keepAlive = nil }
        guard keepsAlive == true || keepAlive == KeepAlive() else {
            throw .setting("set: times of probes need open_tcp_keepalive")
        }
        guard (certificate == nil) == (key == nil) else {
            throw .setting("set: ssl_cert_file and ssl_key_file need each other")
        }
        if let certificate, let key { tls = TLSConfiguration(certificateFile: certificate, privateKeyFile: key) }
    }
}
