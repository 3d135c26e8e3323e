internal import CReactor
internal import Glibc

/// How a server identifies itself to NATS, unless the URL has a user or a token.
///
/// ```swift
/// server.cluster = .nats("tls://nats.example", credentials: .file("/etc/chat/nats.creds"))
/// ```
public struct NATSCredentials: Sendable, CustomStringConvertible {
    enum Kind: Sendable {
        case file(String)
        case text(String)
        case nkey(String)
        case token(String)
        case user(String, String)
    }

    let kind: Kind

    /// A file with a JSON Web Token and the seed of its user, as `nsc` writes it. Each gateway that starts reads it.
    public static func file(_ path: String) -> NATSCredentials { NATSCredentials(kind: .file(path)) }

    /// The contents of such a file.
    public static func text(_ contents: String) -> NATSCredentials { NATSCredentials(kind: .text(contents)) }

    /// The seed of a user's key: 58 characters that begin with "SU".
    public static func nkey(seed: String) -> NATSCredentials { NATSCredentials(kind: .nkey(seed)) }

    /// A token.
    public static func token(_ token: String) -> NATSCredentials { NATSCredentials(kind: .token(token)) }

    /// A user with a password.
    public static func user(_ name: String, password: String) -> NATSCredentials {
        NATSCredentials(kind: .user(name, password))
    }

    /// Without the secret.
    public var description: String {
        switch kind {
        case .file(let path): "file(\(path))"
        case .text: "text"
        case .nkey: "nkey"
        case .token: "token"
        case .user(let name, _): "user(\(name))"
        }
    }

    /// Checks them, without their contents in the error.
    func check() throws(ServerError) {
        switch kind {
        case .file, .text: _ = try contents()
        case .nkey(let seed):
            guard unsafe isValid(seed, cre_nats_seed_is_valid) else {
                throw .setting("cluster.credentials: the seed must be that of a user, 58 characters from SU on")
            }
        case .token(let token):
            guard NATSCredentials.isText(token) else {
                throw .setting("cluster.credentials: the token is empty or has a NUL")
            }
        case .user(let name, let password):
            guard NATSCredentials.isText(name), NATSCredentials.isText(password) else {
                throw .setting("cluster.credentials: user and password must not be empty or have a NUL")
            }
        }
    }

    /// The contents of the file or the text.
    func contents() throws(ServerError) -> String {
        var text = ""
        var source = "the text"
        switch kind {
        case .file(let path):
            source = "\"\(path)\""
            text = try NATSCredentials.read(path)
        case .text(let contents): text = contents
        default: return ""
        }
        guard unsafe isValid(text, cre_nats_credentials_are_valid) else {
            throw .setting("cluster.credentials: \(source) must have a NATS USER JWT and a USER NKEY SEED")
        }
        return text
    }

    private static func isText(_ text: String) -> Bool { !text.isEmpty && !text.utf8.contains(0) }

    private func isValid(_ text: String, _ test: (cre_slice) -> Bool) -> Bool {
        guard !text.utf8.contains(0) else { return false }
        let bytes = Array(text.utf8)
        return unsafe bytes.withUnsafeBufferPointer {
            unsafe test(cre_slice(data: $0.baseAddress, length: $0.count))
        }
    }

    private static let mostBytes = 65_536

    private static func read(_ path: String) throws(ServerError) -> String {
        func failed(_ cause: String) -> ServerError {
            .setting("cluster.credentials: cannot read \"\(path)\": \(cause)")
        }
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard descriptor >= 0 else { throw failed(errorText(-errno)) }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: mostBytes + 1)
        var used = 0
        while used < bytes.count {
            let count = unsafe bytes.withUnsafeMutableBytes {
                unsafe Glibc.read(descriptor, $0.baseAddress! + used, $0.count - used)
            }
            guard count >= 0 else { throw failed(errorText(-errno)) }
            guard count > 0 else { break }
            used += count
        }
        guard used <= mostBytes else { throw failed("it is larger than 64 KiB") }
        return String(decoding: bytes[..<used], as: UTF8.self)
    }
}
