internal import CReactor

/// Values of options that the typed settings have no place for while another option is off.
struct NamedOptions: Sendable {
    var marker = "\r\n\r\n"
    var lengthType: Character = "N"
    var lengthOffset = 0
    var bodyOffset = 4
    var keepAlive = KeepAlive()
    /// The certificate's file while that of its key is missing, and the other way round.
    var certificate: String?
    var key: String?
    /// Of TLS, while no certificate is known.
    var ciphers: String?
    /// The file of the authorities of clients, and whether they are asked for certificates, while one of both, or the
    /// server's certificate, is missing.
    var authorities: String?
    var verifiesClients: Bool?
    var folder = NamedFolder()
    var compression = ResponseCompression()
    /// Which were set by name: the values of a group, and what switches it.
    var markerUse = Use()
    var lengthUse = Use()
    var probeUse = Use()
    var folderUse = Use()
    var compressionUse = Use()

    struct Use: Sendable {
        var hasValue = false
        var hasSwitch = false
        /// A value has no effect, and nobody has said that it should not have any.
        var isIncomplete: Bool { hasValue && !hasSwitch }
    }
}

/// The folder that options describe.
struct NamedFolder: Sendable {
    var isServed = false
    var root: String?
    /// The paths whose files are served; empty: all.
    var locations: [String] = []
    var index: String?
    var listsFolders = false

    /// The folders by their paths. Without locations, requests for what does not exist go to `onRequest`.
    func mounts() throws(ServerError) -> StaticFileMounts {
        var mounts = StaticFileMounts()
        guard isServed, let root else { return mounts }
        for location in locations.isEmpty ? ["/"] : locations {
            var files = StaticFiles(locations.isEmpty ? root : "\(root)/\(location)")
            files.index = index
            files.listsFolders = listsFolders
            files.passesMissing = locations.isEmpty
            mounts.add(location, files)
        }
        if let problem = mounts.problem {
            throw .setting("set: \(locations.isEmpty ? "document_root" : "static_handler_locations"): \(problem)")
        }
        return mounts
    }
}

/// The settings of a server while options change them, in the terms of options.
struct OptionDraft {
    var settings: Settings
    var port: PortSettings
    var tls: TLSConfiguration?
    var named: NamedOptions
    let mode: ServerMode
    let spoken: PortProtocol

    // What the settings of the port are made of.
    var isMarkerChecked: Bool
    var isMarkerSplit: Bool
    var isLengthChecked: Bool
    var isMQTT: Bool
    var keepsAlive: Bool
    var compresses: Bool
    /// The folders that options describe.
    var folders = StaticFileMounts()
    var certificate: String?
    var key: String?
    var ciphers: String?
    var authorities: String?
    /// `nil`: not set, or not to be expressed by an option.
    var verifiesClients: Bool?

    init(_ server: Server) {
        settings = server.settings
        port = server.ports[0].settings
        tls = server.ports[0].tls
        named = server.namedOptions
        mode = server.mode
        spoken = server.ports[0].type

        // The typed settings may have changed since the last call.
        let framing = port.framing
        isMarkerChecked = framing.hasMarker
        isMarkerSplit = framing.kind == CRE_FRAMING_MARKER_SPLIT.rawValue
        isLengthChecked = framing.hasLength
        isMQTT = framing == .mqtt
        if framing.hasMarker { named.marker = String(decoding: framing.marker, as: UTF8.self) }
        if framing.hasLength {
            named.lengthType = framing.lengthType
            named.lengthOffset = framing.lengthOffset
            named.bodyOffset = framing.bodyOffset
        }
        keepsAlive = port.keepAlive != nil
        if let keepAlive = port.keepAlive { named.keepAlive = keepAlive }
        compresses = settings.compressResponses != nil
        if let compression = settings.compressResponses { named.compression = compression }
        (certificate, key) = (named.certificate, named.key)
        if let first = tls?.certificates.first {
            if case .file(let path) = first.chain { certificate = path }
            if case .file(let path) = first.privateKey { key = path }
        }
        ciphers = tls?.ciphers ?? named.ciphers
        (authorities, verifiesClients) = (named.authorities, named.verifiesClients)
        switch tls?.clientCertificates {
        case .required(let source):
            (authorities, verifiesClients) = (source.path, true)
        case .optional(let source):
            (authorities, verifiesClients) = (source.path, nil)
        case .none?, nil: break
        }
    }

    /// Makes the typed settings of the options that only have an effect together.
    mutating func finish() throws(ServerError) {
        port.framing = try framing()
        port.keepAlive = keepsAlive ? named.keepAlive : nil
        settings.compressResponses = compresses ? named.compression : nil
        folders = try named.folder.mounts()
        finishTLS()
    }

    private mutating func finishTLS() {
        if let certificate, let key {
            (named.certificate, named.key) = (nil, nil)
            if tls?.certificates.isEmpty == false {
                tls?.certificates[0].chain = .file(certificate)
                tls?.certificates[0].privateKey = .file(key)
            } else {
                tls = TLSConfiguration(certificateFile: certificate, privateKeyFile: key)
            }
        } else {
            (named.certificate, named.key) = (certificate, key)
        }
        (named.ciphers, named.authorities, named.verifiesClients) = (ciphers, authorities, verifiesClients)
        guard var tls else { return }
        tls.ciphers = ciphers
        named.ciphers = nil
        let source = authorities.map { .file($0) } ?? tls.clientCertificates.authorities
        switch (verifiesClients, source) {
        case (true, let source?):
            tls.clientCertificates = .required(authorities: source)
            (named.authorities, named.verifiesClients) = (nil, nil)
        case (nil, let source?) where tls.clientCertificates.authorities != nil:
            tls.clientCertificates = .optional(authorities: source)
            named.authorities = nil
        case (false, _): tls.clientCertificates = .none
        default: break
        }
        self.tls = tls
    }

    private func framing() throws(ServerError) -> Framing {
        let active = [
            (isMarkerChecked, isMarkerSplit ? "open_eof_split" : "open_eof_check"),
            (isLengthChecked, "open_length_check"), (isMQTT, "open_mqtt_protocol"),
        ].filter(\.0).map(\.1)
        guard active.count < 2 else {
            throw .setting(
                "set: cannot use \(active.joined(separator: " and ")) together: a port has one framing, set one to false"
            )
        }
        guard (1...8).contains(named.marker.utf8.count) else {
            throw .setting("set: package_eof must be 1...8 bytes, got \(OptionValue.text(named.marker))")
        }
        if isMarkerChecked { return isMarkerSplit ? .endMarker(named.marker) : .endMarkerCheck(named.marker) }
        guard isLengthChecked else { return isMQTT ? .mqtt : .none }
        let framing = Framing.length(named.lengthType, offset: named.lengthOffset, bodyOffset: named.bodyOffset)
        guard unsafe framing.config(maxLength: 1 << 20) != nil else {
            throw .setting(
                """
                set: invalid length field: package_length_type "\(named.lengthType)", package_length_offset \
                \(named.lengthOffset), package_body_offset \(named.bodyOffset)
                """)
        }
        return framing
    }

    /// Refuses values that were set by name and have no effect without another option.
    func check() throws(ServerError) {
        if named.markerUse.isIncomplete, !isMarkerChecked {
            throw .setting("package_eof needs open_eof_check or open_eof_split")
        }
        if named.lengthUse.isIncomplete, !isLengthChecked {
            throw .setting("package_length_type, package_length_offset and package_body_offset need open_length_check")
        }
        if named.probeUse.isIncomplete, !keepsAlive {
            throw .setting("tcp_keepidle, tcp_keepinterval and tcp_keepcount need open_tcp_keepalive")
        }
        if named.compressionUse.isIncomplete, !compresses {
            throw .setting(
                "http_compression_level, compression_min_length and http_compression_types need http_compression")
        }
        if named.folderUse.isIncomplete, !named.folder.isServed {
            throw .setting(
                "document_root, static_handler_locations, http_index_files and http_autoindex need "
                    + "enable_static_handler")
        }
        if named.folder.isServed {
            if named.folder.root == nil { throw .setting("enable_static_handler needs document_root") }
            if spoken == .tcp || spoken == .udp {
                throw .setting("enable_static_handler needs a server for HTTP or WebSockets")
            }
        }
        if named.certificate != nil { throw .setting("ssl_cert_file needs ssl_key_file") }
        if named.key != nil { throw .setting("ssl_key_file needs ssl_cert_file") }
        if named.ciphers != nil { throw .setting("ssl_ciphers needs ssl_cert_file and ssl_key_file") }
        switch (named.verifiesClients, named.authorities) {
        case (true, nil): throw .setting("ssl_verify_peer needs ssl_client_cert_file")
        case (true, _): throw .setting("ssl_verify_peer needs ssl_cert_file and ssl_key_file")
        case (nil, _?): throw .setting("ssl_client_cert_file needs ssl_verify_peer")
        default: break
        }
    }
}

extension Framing {
    var hasMarker: Bool {
        kind == CRE_FRAMING_MARKER_SPLIT.rawValue || kind == CRE_FRAMING_MARKER_CHECK.rawValue
    }
    var hasLength: Bool { kind == CRE_FRAMING_LENGTH.rawValue }
}

extension TLSConfiguration.Source {
    fileprivate var path: String? { if case .file(let path) = self { path } else { nil } }
}

extension TLSConfiguration.ClientCertificates {
    fileprivate var authorities: TLSConfiguration.Source? {
        switch self {
        case .none: nil
        case .optional(let source), .required(let source): source
        }
    }
}
