internal import CReactor

/// The compression of responses (`Content-Encoding`), as a client accepts it.
///
/// ```swift
/// server.settings.compressResponses = ResponseCompression()
/// ```
///
/// A response is compressed when its body has a media type of ``types`` and at least ``threshold`` bytes, or is sent in
/// pieces; each piece can be decoded as soon as it has arrived. Such responses get `Vary: Accept-Encoding`, compressed
/// ones a weak entity tag. Never compressed are responses with status 204, 206 or 304, with a `Content-Encoding`, with
/// `Cache-Control: no-transform`, with ``ResponseCompression/Use/never``, and files (``StaticFiles/precompressed``).
public struct ResponseCompression: Sendable {
    /// Whether one response is compressed.
    public enum Use: Sendable, Hashable {
        /// By its type and size.
        case automatic
        /// Whatever its type and size, if the client accepts a coding.
        case always
        /// Not at all: for bodies with secrets beside text that an attacker can choose, for example (BREACH).
        case never
    }

    /// The codings, in the order of the server's preference among those that a client likes equally well. Codings that
    /// the build does not have (``ContentCoding/isSupported``) are skipped. Empty: no compression. Default: Brotli,
    /// Zstandard, gzip.
    public var codings: [ContentCoding] = [.brotli, .zstandard, .gzip]
    /// Bodies of fewer bytes are sent as they are. Default: 1024.
    public var threshold = 1024
    /// Media types whose bodies are compressed: "text/*", "application/json"; "*+json" is any type with this suffix.
    public var types = [
        "text/*", "*+json", "*+xml", "application/json", "application/xml", "application/javascript",
        "application/x-javascript", "application/manifest+json", "application/wasm", "application/yaml",
        "application/x-ndjson", "application/graphql", "application/rtf", "font/ttf", "font/otf",
        "image/vnd.microsoft.icon", "image/bmp",
    ]
    /// The level of gzip: 1, fast, to 9, small. Default: 6.
    public var gzipLevel = 6
    /// The level of Brotli: 1...11. Default: 4.
    public var brotliLevel = 4
    /// The level of Zstandard: 1...19. Default: 3.
    public var zstandardLevel = 3
    /// The most responses that each worker compresses in pieces at the same time, which take 300 KiB (gzip) to 2 MiB
    /// each; further ones are sent as they are. Default: 64.
    public var maxOpen = 64

    /// Makes the default compression.
    public init() {}
}

extension ContentCoding {
    /// Whether this build can compress so: gzip needs the trait `Deflate`, Brotli `Brotli`, Zstandard `Zstd`.
    public var isSupported: Bool { cre_http_coding_supported(core) }

    /// The number that the core has for the coding.
    var core: Int32 {
        let coding =
            switch self {
            case .brotli: CRE_HTTP_BROTLI
            case .zstandard: CRE_HTTP_ZSTD
            case .gzip: CRE_HTTP_GZIP
            }
        return Int32(coding.rawValue)
    }
}

extension ResponseCompression {
    /// The codings that this build has.
    var supported: [ContentCoding] { codings.filter(\.isSupported) }

    /// `name`: that of the setting, for errors.
    func check(_ name: String) throws(ServerError) {
        func require(_ good: Bool, _ message: String) throws(ServerError) {
            if !good { throw ServerError(code: .invalidSetting, message: "\(name).\(message)") }
        }
        try require(
            codings.isEmpty || !supported.isEmpty,
            "codings need a build with one of the traits Deflate (gzip), Brotli and Zstd, got "
                + codings.map(\.rawValue).joined(separator: ", "))
        try require(
            (0...1 << 28).contains(threshold), "threshold must be 0 bytes to 256 MiB, got \(threshold)")
        try require((1...9).contains(gzipLevel), "gzipLevel must be 1...9, got \(gzipLevel)")
        try require((1...11).contains(brotliLevel), "brotliLevel must be 1...11, got \(brotliLevel)")
        try require((1...19).contains(zstandardLevel), "zstandardLevel must be 1...19, got \(zstandardLevel)")
        try require((1...65_536).contains(maxOpen), "maxOpen must be 1...65,536, got \(maxOpen)")
    }

    var config: cre_http_encoders_config {
        cre_http_encoders_config(
            size: MemoryLayout<cre_http_encoders_config>.size, gzip_level: UInt8(gzipLevel),
            brotli_level: UInt8(brotliLevel), zstd_level: UInt8(zstandardLevel), max_open: UInt32(maxOpen))
    }

    /// Whether a body of this media type is worth it; parameters and letter case do not matter.
    func hasType(_ contentType: String) -> Bool {
        var type = Substring(contentType.prefix { $0 != ";" }).lowercased()
        while type.last == " " || type.last == "\t" { type.removeLast() }
        return types.contains { pattern in
            let pattern = pattern.lowercased()
            if pattern == "*" || pattern == "*/*" { return true }
            if pattern.hasSuffix("/*") { return type.hasPrefix(pattern.dropLast()) }
            if pattern.hasPrefix("*") { return type.hasSuffix(pattern.dropFirst()) }
            return type == pattern
        }
    }
}
