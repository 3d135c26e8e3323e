internal import CReactor

/// The compression of WebSocket messages (permessage-deflate, RFC 7692).
///
/// Without context takeover, the default, all connections of a process share one compressor, and a connection costs no
/// memory. With it each connection has a compressor and a decompressor of its own:
///
/// ```swift
/// settings.compression = Compression()                                          // shared
/// settings.compression = .withContextTakeover(memoryPerConnection: 64 * 1024)   // at most 64 KiB each
/// ```
public struct Compression: Sendable {
    /// Keep the window between messages: better for many small similar messages, at the price of
    /// ``memoryPerConnection``. Default: false.
    public var contextTakeover = false
    /// 1, fast, to 9, small. Default: nil, which is 6; in a build with the trait `ISAL`, ISA-L instead of zlib for
    /// messages without context takeover, which takes a third of the time for a few per cent more bytes.
    public var level: Int?
    /// Messages shorter than this number of bytes are not compressed. Default: 64.
    public var threshold = 64
    /// The size of the window as a power of two, 8...15. A smaller one takes less memory. Default: 15.
    public var windowBits = 15
    /// The memory for the compressor's tables, 1...9; each step doubles it. A smaller one compresses less. Default: 8.
    public var memoryLevel = 8

    /// Makes the default compression.
    public init() {}

    /// Compression with context takeover whose compressor and decompressor take at most `memoryPerConnection` bytes for
    /// each connection.
    ///
    /// Steps are 18, 22, 31, 49, 85, 157 and 301 KiB; the least that there is stands for less than 18 KiB.
    public static func withContextTakeover(memoryPerConnection: Int) -> Compression {
        var compression = Compression()
        compression.contextTakeover = true
        while compression.memoryPerConnection > memoryPerConnection && compression.windowBits > 9 {
            compression.windowBits -= 1
            compression.memoryLevel -= 1
        }
        return compression
    }

    /// The memory in bytes that a connection takes after its first compressed message in each direction; 0 without
    /// context takeover.
    public var memoryPerConnection: Int {
        guard contextTakeover else { return 0 }
        let window = 1 << max(windowBits, 9)
        let compressor = 4 * window + (1 << (memoryLevel + 9))
        return compressor + window + 13_312
    }
}

extension Compression {
    func check() throws(ServerError) {
        func require(_ good: Bool, _ message: String) throws(ServerError) {
            if !good { throw ServerError(code: .invalidSetting, message: message) }
        }
        if let level { try require((1...9).contains(level), "compression.level must be 1...9, got \(level)") }
        try require((1...9).contains(memoryLevel), "compression.memoryLevel must be 1...9, got \(memoryLevel)")
        try require((8...15).contains(windowBits), "compression.windowBits must be 8...15, got \(windowBits)")
        try require(
            (1...1 << 28).contains(threshold), "compression.threshold must be 1 byte to 256 MiB, got \(threshold)")
        var config = config
        var pool: OpaquePointer?
        let result = unsafe cre_ws_deflate_pool_create(&config, &pool)
        unsafe cre_ws_deflate_pool_destroy(pool)
        try require(result != CRE_EUNSUPPORTED.rawValue, "compression needs a build with the Deflate trait")
        try require(result == 0, "compression: \(errorText(result))")
    }

    var config: cre_ws_deflate_config {
        cre_ws_deflate_config(
            size: MemoryLayout<cre_ws_deflate_config>.size,
            server_no_context_takeover: !contextTakeover, client_no_context_takeover: !contextTakeover,
            server_window_bits: UInt8(windowBits), client_window_bits: UInt8(windowBits), level: UInt8(level ?? 0),
            memory_level: UInt8(memoryLevel), threshold: threshold)
    }
}
