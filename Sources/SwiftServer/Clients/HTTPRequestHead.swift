internal import CReactor

/// The head of a request as the C core takes it: its text in one piece of memory.
struct HTTPRequestHead: Sendable {
    private var text: [UInt8] = []
    private var names: [(start: Int, length: Int, valueLength: Int)] = []
    private let target: Int
    private let host: Int
    private let isChunked: Bool
    private let length: Int?

    init(_ hop: HTTPHop) {
        text.reserveCapacity(
            hop.method.utf8.count + hop.target.utf8.count + hop.url.host.utf8.count
                + hop.headers.size + 16 * (hop.headers.count + 2))
        text += hop.method.utf8
        text.append(0)
        target = text.count
        text += hop.target.utf8
        text.append(0)
        host = text.count
        text += hop.url.authority.utf8
        text.append(0)
        switch hop.body.content {
        case .empty:
            isChunked = false
            length = ["POST", "PUT", "PATCH"].contains(hop.method) ? 0 : nil
        case .bytes(let bytes): (isChunked, length) = (false, bytes.count)
        case .stream(let known, _): (isChunked, length) = (known == nil, known)
        }
        for (name, value) in hop.headers { add(name, value) }
        if hop.expectsContinue { add("Expect", "100-continue") }
        if !hop.usesTunnel, let authorization = hop.proxyAuthorization { add("Proxy-Authorization", authorization) }
    }

    private mutating func add(_ name: String, _ value: String) {
        names.append((text.count, name.utf8.count, value.utf8.count))
        text += name.utf8
        text += value.utf8
    }

    /// Sends the head and the first piece of the body. Returns a result of `cre_http_client_send`.
    func send(_ client: OpaquePointer, _ body: ArraySlice<UInt8>) -> Int32 {
        unsafe text.withUnsafeBytes { text in
            let start = unsafe text.baseAddress!.assumingMemoryBound(to: CChar.self)
            let fields = unsafe names.map { field in
                unsafe cre_http_header(
                    name: start + field.start, value: start + field.start + field.length,
                    name_length: UInt32(field.length), value_length: UInt32(field.valueLength))
            }
            return unsafe fields.withUnsafeBufferPointer { fields in
                var request = unsafe cre_http_request()
                unsafe request.method = start
                unsafe request.target = start + target
                unsafe request.host = start + host
                unsafe request.chunked = isChunked
                unsafe request.has_length = length != nil
                unsafe request.content_length = UInt64(length ?? 0)
                unsafe request.fields = fields.baseAddress
                unsafe request.field_count = fields.count
                return unsafe body.withUnsafeBytes {
                    unsafe cre_http_client_send(client, &request, $0.baseAddress, $0.count)
                }
            }
        }
    }
}
