internal import CReactor

/// How a client uses TLS: whom it trusts, and who it is.
///
/// ```swift
/// try Client.connect(.tls, host: "example.com", port: 443)
/// try Client.connect(.tls(ClientTLS(trust: .authorities(.file("ca.pem")))), host: "internal.example", port: 9501)
/// ```
public struct ClientTLS: Sendable, Hashable {
    /// Which certificates of servers are accepted.
    public enum Trust: Sendable, Hashable {
        /// Those that an authority of the system has signed, for the server's name.
        case system
        /// Those that these authorities have signed, for the server's name.
        case authorities(TLSConfiguration.Source)
        /// All of them: encryption without authentication. Anybody on the way can read and change everything.
        case anyCertificate
    }

    /// The certificate of the client and its key.
    public struct Identity: Sendable, Hashable {
        /// The certificate, followed by the intermediate certificates.
        public var chain: TLSConfiguration.Source
        /// The private key, without a password.
        public var privateKey: TLSConfiguration.Source

        /// - Parameters:
        ///   - chain: the certificate and its intermediate certificates.
        ///   - privateKey: the key, without a password.
        public init(chain: TLSConfiguration.Source, privateKey: TLSConfiguration.Source) {
            self.chain = chain
            self.privateKey = privateKey
        }
    }

    /// Which certificates are accepted. Default: those that the system trusts.
    public var trust: Trust
    /// The host name that the certificate must have. Default: the host that the client connects to.
    public var serverName: String?
    /// The oldest version that is accepted. Default: TLS 1.2.
    public var minimumVersion: TLSConfiguration.Version = .tls12
    /// The ciphers of TLS 1.2, preferred ones first, in OpenSSL's notation: "ECDHE-RSA-AES128-GCM-SHA256:ECDHE+AES".
    /// An unknown one is an error. `nil`: ECDHE with AES-GCM or ChaCha20, which have forward secrecy. It must be `nil`
    /// when ``minimumVersion`` is TLS 1.3.
    public var ciphers: String?
    /// The cipher suites of TLS 1.3, preferred ones first: "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256".
    /// `nil`: all that OpenSSL has.
    public var cipherSuites: String?
    /// The certificate that the client presents if the server asks for one.
    public var identity: Identity?

    /// - Parameters:
    ///   - trust: which certificates are accepted.
    ///   - serverName: the host name that the certificate must have; `nil`: the host that the client connects to.
    public init(trust: Trust = .system, serverName: String? = nil) {
        self.trust = trust
        self.serverName = serverName
    }
}

/// The TLS configuration of a client as the C core holds it. Any thread may use it.
@safe final class ClientTLSContext: Sendable {
    // Thread-safe: it has its own reference count.
    nonisolated(unsafe) let raw: OpaquePointer

    /// `protocols`: to offer in ALPN, separated by commas.
    init(_ tls: ClientTLS, protocols: String? = nil) throws(ClientError) {
        let memory = unsafe BorrowedText()
        var config = unsafe cre_tls_client_config()
        unsafe config.size = MemoryLayout<cre_tls_client_config>.size
        unsafe config.minimum = tls.minimumVersion == .tls13 ? CRE_TLS_1_3 : CRE_TLS_1_2
        switch tls.trust {
        case .system: break
        case .authorities(let source): unsafe config.authorities = memory.source(source)
        case .anyCertificate: unsafe config.accept_any_certificate = true
        }
        if let identity = tls.identity {
            unsafe config.certificate = memory.source(identity.chain)
            unsafe config.key = memory.source(identity.privateKey)
        }
        if let protocols { unsafe config.protocols = memory.string(protocols) }
        if let ciphers = tls.ciphers { unsafe config.ciphers = memory.string(ciphers) }
        if let suites = tls.cipherSuites { unsafe config.cipher_suites = memory.string(suites) }
        var why = [CChar](repeating: 0, count: Int(CRE_TLS_MESSAGE))
        var client: OpaquePointer?
        let result = unsafe why.withUnsafeMutableBufferPointer { why in
            unsafe cre_tls_client_create(&config, &client, why.baseAddress!)
        }
        unsafe memory.release()
        guard result == 0, let client = unsafe client else {
            let text = unsafe why.withUnsafeBufferPointer { unsafe String(cString: $0.baseAddress!) }
            throw ClientError(.tls, "cannot use TLS: \(text)")
        }
        unsafe raw = client
    }

    deinit { unsafe cre_tls_client_release(raw) }
}
