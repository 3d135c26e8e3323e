internal import CReactor

/// Decompresses the body of a response. One thread at a time.
@safe final class HTTPDecoder {
    private let raw: OpaquePointer
    private let limit: Int
    private var made = 0
    private var room = [UInt8](repeating: 0, count: 32 << 10)

    /// The codings that this build has, for `Accept-Encoding`; `nil`: none.
    static let codings: String? = {
        var codings: [String] = []
        if ContentCoding.brotli.isSupported { codings.append("br") }
        if ContentCoding.zstandard.isSupported { codings.append("zstd") }
        if ContentCoding.gzip.isSupported { codings += ["gzip", "deflate"] }
        return codings.isEmpty ? nil : codings.joined(separator: ", ")
    }()

    /// `nil`: the coding is not known, and the body stays as it is.
    init?(coding: String, limit: Int) throws(ClientError) {
        var coding = coding
        var decompressor: OpaquePointer?
        let result = coding.withUTF8 { bytes in
            unsafe bytes.withMemoryRebound(to: CChar.self) {
                unsafe cre_http_decompressor_create($0.baseAddress, $0.count, &decompressor)
            }
        }
        if result == CRE_EHTTP_UNKNOWN_CODING.rawValue || result == CRE_EUNSUPPORTED.rawValue { return nil }
        guard result == 0, let decompressor = unsafe decompressor else {
            throw ClientError("cannot decompress the response", result)
        }
        unsafe raw = decompressor
        self.limit = limit
    }

    deinit { unsafe cre_http_decompressor_destroy(raw) }

    /// Decompresses a part of the input, and returns the result and the number of bytes of the input that were used.
    func decompress(_ input: ArraySlice<UInt8>) throws(ClientError) -> (output: [UInt8], used: Int) {
        var written = 0
        var used = 0
        let result = unsafe input.withUnsafeBufferPointer { input in
            unsafe room.withUnsafeMutableBytes { room in
                let start = input.baseAddress
                var cursor = unsafe start
                let end = unsafe start.map { unsafe $0 + input.count }
                let result = unsafe cre_http_decompress(raw, &cursor, end, room.baseAddress, room.count, &written)
                if let start = unsafe start, let cursor = unsafe cursor { used = unsafe cursor - start }
                return result
            }
        }
        guard result >= 0 else { throw ClientError("cannot decompress the response", result) }
        made += written
        if made > limit {
            throw ClientError(.tooLarge, "the decompressed body has more than \(limit) bytes (maxDecompressed)")
        }
        return (Array(room[..<written]), used)
    }

    /// The input has ended.
    func finish() throws(ClientError) {
        let result = unsafe cre_http_decompressor_finish(raw)
        if result != 0 { throw ClientError("cannot decompress the response", result) }
    }
}
