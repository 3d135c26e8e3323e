internal import CReactor

/// Whether a client uses HTTP/2, of which one connection carries many requests or WebSockets at the same time.
public enum ClientHTTP2: Sendable, Hashable {
    /// HTTP/1.1 only.
    case never
    /// HTTP/2 if the server chooses it when TLS is set up (ALPN); without TLS HTTP/1.1.
    case negotiated
    /// HTTP/2 only: a server that does not choose it by ALPN is an error. Without TLS the server must be known to use
    /// HTTP/2 ("prior knowledge"). Needs a build with the trait `HTTP2`.
    case always

    func check() throws(ClientError) {
        if self == .always, !cre_http2_supported() {
            throw .argument("http2 must not be always in a build without the trait HTTP2")
        }
    }

    /// The protocols to offer in ALPN; `nil`: none.
    var protocols: String? {
        switch self {
        case .never: nil
        case .negotiated: cre_http2_supported() ? "h2,http/1.1" : nil
        case .always: "h2"
        }
    }

    /// For the C core.
    func use(isSecure: Bool) -> UInt32 {
        switch self {
        case .always: UInt32(CRE_HTTP_CLIENT_HTTP2_ONLY.rawValue)
        case .negotiated where isSecure && cre_http2_supported(): UInt32(CRE_HTTP_CLIENT_NEGOTIATES.rawValue)
        case .negotiated, .never: UInt32(CRE_HTTP_CLIENT_HTTP1.rawValue)
        }
    }
}
