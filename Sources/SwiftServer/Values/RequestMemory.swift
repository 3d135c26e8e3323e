internal import CReactor

/// Memory for the bytes of requests, one after another: most are released before the next one arrives.
struct RequestMemory: Sendable {
    /// The size up to which requests share it. A request that is kept has all of it.
    static let size = 1024

    private var bytes: [UInt8] = []

    /// A copy of a payload, of which only that many bytes count.
    @inline(__always) mutating func copy(_ payload: UnsafeRawBufferPointer) -> [UInt8] {
        guard payload.count <= RequestMemory.size, unsafe !RequestMemory.isHandshake(payload) else {
            return unsafe [UInt8](payload)
        }
        if bytes.isEmpty { bytes = [UInt8](repeating: 0, count: RequestMemory.size) }
        // Copies it first while an earlier request has it.
        unsafe bytes.withUnsafeMutableBytes { unsafe $0.copyMemory(from: payload) }
        return bytes
    }

    /// Straight-line handlers keep their handshakes, so these get no more memory than they need.
    private static func isHandshake(_ payload: UnsafeRawBufferPointer) -> Bool {
        let head = unsafe payload.loadUnaligned(as: cre_http_head.self)
        return Int(head.flags) & CRE_HTTP_UPGRADE_WEBSOCKET != 0
    }
}
