internal import CReactor
internal import CReactorInternal
internal import Glibc

/// The certificate by which a client has proved who it is. The authorities of the port vouch for it; see
/// ``TLSConfiguration/clientCertificates``.
public struct ClientCertificate: Sendable, Hashable {
    /// A name beside the subject.
    public enum Name: Sendable, Hashable {
        /// A host name.
        case dns(String)
        /// An e-mail address.
        case email(String)
        /// A URI, such as "spiffe://example.com/billing".
        case uri(String)
        /// An IP address.
        case address(String)
    }

    /// The certificate in DER.
    public let bytes: [UInt8]
    /// The distinguished name of the client in the form of RFC 4514: "CN=alice,OU=sales,O=Example".
    public let subject: String
    /// The distinguished name of the authority, in the same form.
    public let issuer: String
    /// The common name of the subject, the most specific one if there are several; `nil`: none.
    public let commonName: String?
    /// The subject's alternative names, without those of other kinds and without malformed ones.
    public let alternativeNames: [Name]
    /// The serial number, which is unique with ``issuer``, in hexadecimal digits: "2f0a".
    public let serialNumber: String
    /// SHA-256 of ``bytes``, in hexadecimal digits.
    public let fingerprint: String
    /// The time from which the certificate is valid, in seconds since 1970.
    public let notBefore: Double
    /// The time until which the certificate is valid, in seconds since 1970.
    public let notAfter: Double

    /// `nil` for bytes that are no certificate, and in a build without TLS.
    init?(_ bytes: [UInt8]) {
        var read: UnsafeMutablePointer<cre_certificate>?
        guard unsafe cre_certificate_read(bytes, bytes.count, &read) == 0, let read = unsafe read else { return nil }
        defer { unsafe cre_certificate_free(read) }
        let found = unsafe read.pointee
        self.bytes = bytes
        subject = unsafe String(decoding: found.subject.bytes, as: UTF8.self)
        issuer = unsafe String(decoding: found.issuer.bytes, as: UTF8.self)
        commonName =
            unsafe found.common_name.length > 0 ? String(decoding: found.common_name.bytes, as: UTF8.self) : nil
        alternativeNames = unsafe UnsafeBufferPointer(start: found.names, count: found.name_count).compactMap(Name.init)
        serialNumber = unsafe ClientCertificate.hexadecimal(found.serial.bytes)
        fingerprint = unsafe withUnsafeBytes(of: found.fingerprint) { unsafe ClientCertificate.hexadecimal($0) }
        notBefore = unsafe Double(found.not_before)
        notAfter = unsafe Double(found.not_after)
    }

    private static func hexadecimal(_ bytes: some Collection<UInt8>) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}

extension ClientCertificate.Name {
    fileprivate init?(_ name: cre_certificate_name) {
        let text = unsafe String(decoding: name.value.bytes, as: UTF8.self)
        switch unsafe name.kind {
        case CRE_CERTIFICATE_DNS: self = .dns(text)
        case CRE_CERTIFICATE_EMAIL: self = .email(text)
        case CRE_CERTIFICATE_URI: self = .uri(text)
        case CRE_CERTIFICATE_ADDRESS:
            let family = unsafe name.value.length == 4 ? AF_INET : AF_INET6
            let room = Int(INET6_ADDRSTRLEN)
            let address = unsafe String(unsafeUninitializedCapacity: room) { buffer in
                unsafe buffer.withMemoryRebound(to: CChar.self) { text in
                    unsafe inet_ntop(family, name.value.data, text.baseAddress, socklen_t(room)).map {
                        unsafe strlen($0)
                    } ?? 0
                }
            }
            self = .address(address)
        default: return nil
        }
    }
}

extension cre_slice {
    fileprivate var bytes: UnsafeBufferPointer<UInt8> { unsafe UnsafeBufferPointer(start: data, count: length) }
}
