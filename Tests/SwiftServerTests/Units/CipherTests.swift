import Testing

@testable import SwiftServer

#if TLS
/// Lists of ciphers, which are checked before certificates are read.
@Suite struct CipherTests {
    private static let cases: [(ciphers: String?, suites: String?, version: TLSConfiguration.Version, cause: String)] =
        [
            ("x", nil, .tls12, "ciphers has no cipher of TLS 1.2 in \"x\""),
            ("HIGH", nil, .tls13, "ciphers is of TLS 1.2, which is not accepted; see cipherSuites"),
            (nil, "TLS_AES_128_GCM_SHA256:y", .tls12, "cipherSuites has no suite of TLS 1.3 in \"y\""),
            ("ECDHE+AESGCM:!MD5", "TLS_AES_128_GCM_SHA256", .tls12, "/nowhere.pem: No such file or directory"),
        ]

    @Test(arguments: cases) func ofServers(
        _ ciphers: String?, _ suites: String?, _ version: TLSConfiguration.Version, _ cause: String
    ) {
        var tls = TLSConfiguration(certificateFile: "/nowhere.pem", privateKeyFile: "/nowhere.key")
        (tls.ciphers, tls.cipherSuites, tls.minimumVersion) = (ciphers, suites, version)
        let error = #expect(throws: ServerError.self) { _ = try TLSContext(tls, anyProtocol: false) }
        #expect(error?.code == .tls && error?.message == cause)
    }

    @Test(arguments: cases) func ofClients(
        _ ciphers: String?, _ suites: String?, _ version: TLSConfiguration.Version, _ cause: String
    ) {
        var tls = ClientTLS(trust: .authorities(.file("/nowhere.pem")))
        (tls.ciphers, tls.cipherSuites, tls.minimumVersion) = (ciphers, suites, version)
        let error = #expect(throws: ClientError.self) { _ = try ClientTLSContext(tls) }
        #expect(error?.message == "cannot use TLS: \(cause)")
    }
}
#endif
