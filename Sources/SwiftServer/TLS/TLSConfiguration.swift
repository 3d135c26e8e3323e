/// What a server needs to speak TLS: `https://` and `wss://`.
///
/// ```swift
/// server.tls = TLSConfiguration(certificateFile: "server.pem", privateKeyFile: "server.key")
/// ```
///
/// TLS 1.2 and 1.3 are spoken, with ciphers that keep what was recorded secret even when the key is stolen later.
/// SIGHUP to the master has files read anew: connections that come after it get the new certificates, those that are
/// there keep theirs.
public struct TLSConfiguration: Sendable, Hashable {
    /// PEM text and where it is.
    public enum Source: Sendable, Hashable {
        /// A file, which SIGHUP has read anew.
        case file(String)
        /// The text itself.
        case pem([UInt8])
    }

    /// A certificate with its key.
    public struct Certificate: Sendable, Hashable {
        /// The host name that it is for, exact or with a wildcard for its first label: `*.example.com`. Without one
        /// it is for all names that no other certificate is for.
        public var host: String?
        /// The certificate, and behind it those between it and its root.
        public var chain: Source
        /// The private key, without a password.
        public var privateKey: Source

        /// - Parameters:
        ///   - host: the name it is for; see ``host``.
        ///   - chain: the certificate and those that lead to its root.
        ///   - privateKey: its key, which has no password.
        public init(host: String? = nil, chain: Source, privateKey: Source) {
            self.host = host
            self.chain = chain
            self.privateKey = privateKey
        }
    }

    /// Whether clients show certificates of their own.
    public enum ClientCertificates: Sendable, Hashable {
        /// They are not asked.
        case none
        /// They are asked and may come without; one with a certificate that these authorities did not sign is refused.
        case optional(authorities: Source)
        /// Only clients with a certificate that these authorities signed are let in.
        case required(authorities: Source)
    }

    /// A version of the protocol.
    public enum Version: Sendable, Hashable {
        case tls12
        case tls13
    }

    /// At least one. The first serves clients that name no host, or one that no certificate is for.
    public var certificates: [Certificate]
    /// Default: clients are not asked for certificates.
    public var clientCertificates: ClientCertificates = .none
    /// Older versions are refused. Default: TLS 1.2.
    public var minimumVersion: Version = .tls12
    /// How long a client may take for the handshake. Default: 10 seconds.
    public var handshakeTimeout: Duration = .seconds(10)

    /// With one certificate for everybody; append to ``certificates`` for more.
    public init(certificateFile: String, privateKeyFile: String) {
        self.init(certificate: .file(certificateFile), privateKey: .file(privateKeyFile))
    }

    /// The same from wherever it is.
    public init(certificate: Source, privateKey: Source) {
        certificates = [Certificate(chain: certificate, privateKey: privateKey)]
    }
}
