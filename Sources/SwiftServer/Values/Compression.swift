internal import CReactor

/// The compression of WebSocket messages (permessage-deflate, RFC 7692).
public struct Compression: Sendable {
    /// Keep the window between messages: better for many small similar messages, at the price of some 300 KiB for each
    /// connection. Without it all connections of a process share one compressor, and an idle connection costs nothing.
    /// Default: false.
    public var contextTakeover = false
    /// 1, fast, to 9, small. Default: 6.
    public var level = 6
    /// Messages shorter than this number of bytes are not compressed. Default: 64.
    public var threshold = 64
    /// The size of the window as a power of two, 8...15. A smaller one takes less memory. Default: 15.
    public var windowBits = 15

    /// Makes the default compression.
    public init() {}
}

extension Compression {
    func check() throws(ServerError) {
        func require(_ good: Bool, _ message: String) throws(ServerError) {
            if !good { throw ServerError(code: .invalidSetting, message: message) }
        }
        try require((1...9).contains(level), "compression.level must be 1...9, got \(level)")
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
            server_window_bits: UInt8(windowBits), client_window_bits: UInt8(windowBits), level: UInt8(level),
            memory_level: 0, threshold: threshold)
    }
}
