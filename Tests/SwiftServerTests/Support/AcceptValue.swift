import CReactor

/// The value with which a server accepts a WebSocket handshake.
enum AcceptValue {
    static func of(_ key: [UInt8]) -> String {
        var value = [CChar](repeating: 0, count: Int(CRE_WS_ACCEPT_LENGTH))
        unsafe cre_ws_accept(key, &value)
        return String(decoding: value.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
