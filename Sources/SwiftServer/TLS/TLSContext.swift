internal import CReactor

/// Certificates and keys as the C core holds them. Any thread may use it.
@safe final class TLSContext: Sendable {
    // Thread-safe: it has its own reference count and lock.
    nonisolated(unsafe) let raw: OpaquePointer

    /// Whether protocol offers (ALPN) are ignored; otherwise HTTP/1.1, or else HTTP/1.0, is selected.
    private let anyProtocol: Bool

    /// Reads certificates and keys, and checks that they belong together.
    init(_ configuration: TLSConfiguration, anyProtocol: Bool) throws(ServerError) {
        self.anyProtocol = anyProtocol
        var raw: OpaquePointer?
        try unsafe TLSContext.pass(configuration, anyProtocol) { unsafe cre_tls_create($0, &raw, $1) }
        unsafe self.raw = raw!
    }

    deinit { unsafe cre_tls_release(raw) }

    /// Reads certificates and keys again, for connections accepted from now on. When that fails nothing changes.
    func reload(_ configuration: TLSConfiguration) throws(ServerError) {
        try unsafe TLSContext.pass(configuration, anyProtocol) { unsafe cre_tls_reload(raw, $0, $1) }
    }

    /// Calls `use` with the configuration in the form of the C core and a buffer for an error message.
    private static func pass(
        _ configuration: TLSConfiguration, _ anyProtocol: Bool,
        to use: (UnsafePointer<cre_tls_config>, UnsafeMutablePointer<CChar>) -> Int32
    ) throws(ServerError) {
        let milliseconds = configuration.handshakeTimeout.milliseconds
        guard configuration.handshakeTimeout > .zero, milliseconds <= 86_400_000 else {
            throw ServerError(
                code: .invalidSetting,
                message: "tls.handshakeTimeout must be 1 ms to 1 day, got \(configuration.handshakeTimeout)")
        }
        let memory = unsafe BorrowedText()
        var certificates = unsafe configuration.certificates.map { certificate in
            unsafe cre_tls_certificate(
                size: MemoryLayout<cre_tls_certificate>.size,
                host: unsafe certificate.host.map { unsafe memory.string($0) }, chain: memory.source(certificate.chain),
                key: memory.source(certificate.privateKey))
        }
        var why = [CChar](repeating: 0, count: Int(CRE_TLS_MESSAGE))
        let result = unsafe certificates.withUnsafeMutableBufferPointer { certificates in
            var config = unsafe cre_tls_config()
            unsafe config.size = MemoryLayout<cre_tls_config>.size
            unsafe config.certificates = UnsafePointer(certificates.baseAddress)
            unsafe config.count = certificates.count
            unsafe config.minimum = configuration.minimumVersion == .tls13 ? CRE_TLS_1_3 : CRE_TLS_1_2
            unsafe config.handshake_timeout_ms = UInt32(milliseconds)
            if let ciphers = configuration.ciphers { unsafe config.ciphers = memory.string(ciphers) }
            if let suites = configuration.cipherSuites { unsafe config.cipher_suites = memory.string(suites) }
            if anyProtocol { unsafe config.protocols = memory.string("") }
            unsafe config.failed = { _, peer, cause in
                unsafe HandshakeFailures.log(peer: String(cString: peer!), cause: String(cString: cause!))
            }
            switch configuration.clientCertificates {
            case .none: break
            case .optional(let authorities):
                unsafe config.clients = CRE_TLS_CLIENTS_OPTIONAL
                unsafe config.client_authorities = memory.source(authorities)
            case .required(let authorities):
                unsafe config.clients = CRE_TLS_CLIENTS_REQUIRED
                unsafe config.client_authorities = memory.source(authorities)
            }
            return unsafe why.withUnsafeMutableBufferPointer { why in unsafe use(&config, why.baseAddress!) }
        }
        unsafe memory.release()
        guard result != 0 else { return }
        let text = unsafe why.withUnsafeBufferPointer { unsafe String(cString: $0.baseAddress!) }
        let isMissing = result == CRE_EUNSUPPORTED.rawValue
        throw ServerError(
            code: .tls, message: isMissing ? "this build has no TLS: the package's trait TLS is switched off" : text)
    }
}
