/// Certificates, keys and options of TLS: `https://` and `wss://`.
///
/// ```swift
/// server.tls = TLSConfiguration(certificateFile: "server.pem", privateKeyFile: "server.key")
/// ```
///
/// TLS 1.2 and 1.3 are supported, with ciphers that keep recorded traffic secret even if the key is stolen later.
/// SIGHUP to the master reads files again: new connections get the new certificates, open ones keep theirs.
public struct TLSConfiguration: Sendable, Hashable {
    /// The source of PEM text.
    public enum Source: Sendable, Hashable {
        /// A file, which SIGHUP reads again.
        case file(String)
        /// The text itself.
        case pem([UInt8])
    }

    /// A certificate with its key.
    public struct Certificate: Sendable, Hashable {
        /// The host name of the certificate, exact or with a wildcard for its first label: `*.example.com`. A
        /// certificate without one serves all names that no other certificate serves.
        public var host: String?
        /// The certificate, followed by the intermediate certificates.
        public var chain: Source
        /// The private key, without a password.
        public var privateKey: Source

        /// - Parameters:
        ///   - host: the host name of the certificate; see ``host``.
        ///   - chain: the certificate and its intermediate certificates.
        ///   - privateKey: the key, without a password.
        public init(host: String? = nil, chain: Source, privateKey: Source) {
            self.host = host
            self.chain = chain
            self.privateKey = privateKey
        }
    }

    /// Whether clients must present certificates.
    public enum ClientCertificates: Sendable, Hashable {
        /// Clients are not asked for certificates.
        case none
        /// Clients may present a certificate; one that these authorities did not sign is refused.
        case optional(authorities: Source)
        /// Clients must present a certificate that these authorities signed.
        case required(authorities: Source)
    }

    /// A version of the protocol.
    public enum Version: Sendable, Hashable {
        /// TLS 1.2.
        case tls12
        /// TLS 1.3.
        case tls13
    }

    /// The certificates, at least one. The first serves clients that name no host, or an unknown one.
    public var certificates: [Certificate]
    /// Default: clients are not asked for certificates.
    public var clientCertificates: ClientCertificates = .none
    /// The oldest version that is accepted. Default: TLS 1.2.
    public var minimumVersion: Version = .tls12
    /// The ciphers of TLS 1.2, preferred ones first, in OpenSSL's notation: "ECDHE-RSA-AES128-GCM-SHA256:ECDHE+AES".
    /// An unknown one is an error. `nil`: ECDHE with AES-GCM or ChaCha20, which have forward secrecy. It must be `nil`
    /// when ``minimumVersion`` is TLS 1.3.
    public var ciphers: String?
    /// The cipher suites of TLS 1.3, preferred ones first: "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256".
    /// `nil`: all that OpenSSL has.
    public var cipherSuites: String?
    /// The time limit of a handshake. Default: 10 seconds.
    public var handshakeTimeout: Duration = .seconds(10)

    /// Makes a configuration with one certificate for all clients; append to ``certificates`` for more.
    public init(certificateFile: String, privateKeyFile: String) {
        self.init(certificate: .file(certificateFile), privateKey: .file(privateKeyFile))
    }

    /// Makes a configuration with one certificate from any source.
    public init(certificate: Source, privateKey: Source) {
        certificates = [Certificate(chain: certificate, privateKey: privateKey)]
    }
}

extension TLSConfiguration {
    /// A copy whose file names do not depend on the working directory.
    func withAbsolutePaths() -> TLSConfiguration {
        func absolute(_ source: Source) -> Source {
            if case .file(let path) = source { .file(Path.absolute(path)) } else { source }
        }
        var copy = self
        for index in copy.certificates.indices {
            copy.certificates[index].chain = absolute(copy.certificates[index].chain)
            copy.certificates[index].privateKey = absolute(copy.certificates[index].privateKey)
        }
        switch clientCertificates {
        case .none: break
        case .optional(let authorities): copy.clientCertificates = .optional(authorities: absolute(authorities))
        case .required(let authorities): copy.clientCertificates = .required(authorities: absolute(authorities))
        }
        return copy
    }
}
