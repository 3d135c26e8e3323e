internal import CReactor

/// Parses an upload that arrives in pieces, and keeps to its limits. It does no I/O.
@safe final class MultipartParser {
    /// What the next bytes are.
    enum Event: Equatable {
        /// The bytes that were added are used up.
        case needsMore
        /// A part begins.
        case part(name: String, fileName: String?, contentType: String?)
        /// The next bytes of the part.
        case data([UInt8])
        case partEnd
        /// The last part was complete.
        case end
    }

    private let parser: UnsafeMutablePointer<cre_http_multipart>
    private let limits: MultipartLimits
    private var input: [UInt8] = []
    private var position = 0
    private var name = ""
    private var partSize = 0
    private var totalSize = 0
    /// Parsing goes on after neither.
    private var failure: MultipartError?

    /// - Parameter contentType: the value of the request's Content-Type; `nil`: it has none.
    init(contentType: String?, limits: MultipartLimits) throws(MultipartError) {
        unsafe parser = .allocate(capacity: 1)
        unsafe parser.initialize(to: cre_http_multipart())
        self.limits = limits
        var contentType = contentType ?? ""
        let result = contentType.withUTF8 { bytes in
            unsafe bytes.withMemoryRebound(to: CChar.self) {
                unsafe cre_http_multipart_init(
                    parser, $0.baseAddress, $0.count, UInt32(clamping: max(1, limits.parts)))
            }
        }
        guard result == 0 else { throw result == CRE_EHTTP_NOT_MULTIPART.rawValue ? .notMultipart : .malformed }
    }

    deinit { unsafe parser.deallocate() }

    /// Adds the next bytes of the body, after ``Event/needsMore``.
    func add(_ bytes: [UInt8]) {
        input = bytes
        position = 0
    }

    func next() throws(MultipartError) -> Event {
        if let failure { throw failure }
        do { return try parse() } catch {
            failure = error
            throw error
        }
    }

    private func parse() throws(MultipartError) -> Event {
        var data: [UInt8] = []
        let result = unsafe input.withUnsafeBufferPointer { input in
            // An empty array may have no address, which the parser takes as one at the end.
            guard let start = input.baseAddress else { return Int32(CRE_HTTP_MULTIPART_MORE.rawValue) }
            var cursor: UnsafePointer<UInt8>? = unsafe start + position
            let result = unsafe cre_http_multipart_next(parser, &cursor, start + input.count)
            position = unsafe cursor.map { unsafe $0 - start } ?? input.count
            if result == Int32(CRE_HTTP_MULTIPART_DATA.rawValue) {
                data = unsafe [UInt8](UnsafeBufferPointer(start: parser.pointee.data, count: parser.pointee.length))
            }
            return result
        }
        switch result {
        case CRE_EHTTP_MULTIPART_LIMIT.rawValue: throw .tooManyParts
        case ..<0: throw .malformed
        case Int32(CRE_HTTP_MULTIPART_PART.rawValue): return begin()
        case Int32(CRE_HTTP_MULTIPART_DATA.rawValue):
            partSize += data.count
            totalSize += data.count
            guard partSize <= limits.partSize else { throw .partTooLarge(name) }
            guard totalSize <= limits.totalSize else { throw .bodyTooLarge }
            return .data(data)
        case Int32(CRE_HTTP_MULTIPART_PART_END.rawValue): return .partEnd
        case Int32(CRE_HTTP_MULTIPART_END.rawValue): return .end
        default: return .needsMore
        }
    }

    private func begin() -> Event {
        func text(_ text: cre_http_text) -> String {
            unsafe String(
                decoding: UnsafeRawBufferPointer(start: text.text, count: text.length), as: UTF8.self)
        }
        partSize = 0
        name = unsafe text(parser.pointee.name)
        return unsafe .part(
            name: name, fileName: parser.pointee.has_filename ? text(parser.pointee.filename) : nil,
            contentType: parser.pointee.type.text == nil ? nil : text(parser.pointee.type))
    }
}
