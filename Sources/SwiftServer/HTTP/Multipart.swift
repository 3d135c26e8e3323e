extension Request {
    /// The parts of an upload (`multipart/form-data`), one after the other, as they arrive: the body may be whole, or
    /// arrive in pieces (``Settings/streamRequestBodies``).
    ///
    /// ```swift
    /// for try await part in request.parts() {
    ///     if part.fileName != nil { uploads.append(try await part.store()) }
    ///     else { fields[part.name] = try await part.text() }
    /// }
    /// ```
    ///
    /// Parts that are not read are skipped. Parts can be taken once, by one reader. The sequence throws
    /// ``MultipartError``, which answers the request with its status when the handler does not catch it, and
    /// ``RequestBodyError``.
    public func parts(limits: MultipartLimits = MultipartLimits()) -> Parts { Parts(request: self, limits: limits) }

    /// The parts of an upload as they arrive.
    public struct Parts: AsyncSequence, Sendable {
        let request: Request
        let limits: MultipartLimits

        /// Makes the reader.
        public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(request: request, limits: limits) }

        /// The reader of the parts.
        public struct AsyncIterator: AsyncIteratorProtocol, Sendable {
            let request: Request
            let limits: MultipartLimits
            private var reader: MultipartReader?

            init(request: Request, limits: MultipartLimits) {
                self.request = request
                self.limits = limits
            }

            /// The next part; `nil` after the last one.
            public mutating func next() async throws -> Part? { try await next(isolation: #isolation) }

            /// The next part, without leaving the caller's actor.
            public mutating func next(isolation actor: isolated (any Actor)?) async throws -> Part? {
                if reader == nil { reader = try await MultipartReader(request, limits) }
                return try await reader?.nextPart()
            }
        }
    }

    /// A part of an upload. Its content can be read once, and until the next part is taken.
    public struct Part: Sendable {
        /// The name of the form's field.
        public let name: String
        /// The name that the client gave to the file; `nil`: the part is no file. It may be anything: never use it as
        /// the name of a file without a check.
        public let fileName: String?
        /// The type that the client gave to the content, such as "image/png"; `nil`: none.
        public let contentType: String?
        let reader: MultipartReader
        let index: Int

        /// The content as it arrives: `for try await bytes in part.content`.
        public var content: PartContent { PartContent(part: self) }

        /// The whole content.
        ///
        /// - Throws: ``MultipartError/partTooLarge(_:)`` when it has more than `limit` bytes.
        @MainActor public func collect(upTo limit: Int = 1 << 20) async throws -> [UInt8] {
            var bytes: [UInt8] = []
            while let piece = try await reader.read(self) {
                guard bytes.count + piece.count <= limit else { throw MultipartError.partTooLarge(name) }
                bytes += piece
            }
            return bytes
        }

        /// The whole content as text.
        ///
        /// - Throws: ``MultipartError/partTooLarge(_:)`` when it has more than `limit` bytes.
        @MainActor public func text(upTo limit: Int = 1 << 20) async throws -> String {
            String(decoding: try await collect(upTo: limit), as: UTF8.self)
        }
    }

    /// The content of a part in pieces as they arrive.
    public struct PartContent: AsyncSequence, Sendable {
        let part: Part

        /// Makes the reader.
        public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(part: part) }

        /// The reader of the content.
        public struct AsyncIterator: AsyncIteratorProtocol, Sendable {
            let part: Part

            /// The next piece, never an empty one; `nil` at the end of the part.
            public mutating func next() async throws -> [UInt8]? { try await next(isolation: #isolation) }

            /// The next piece, without leaving the caller's actor.
            public mutating func next(isolation actor: isolated (any Actor)?) async throws -> [UInt8]? {
                try await part.reader.read(part)
            }
        }
    }
}

/// Reads the parts of one upload in their order.
@MainActor final class MultipartReader {
    private let parser: MultipartParser
    private var body: RequestBody.AsyncIterator
    /// The number of parts that were taken; the last one is the current one.
    private var taken = 0
    /// Whether the current part has content that was not read.
    private var hasContent = false
    private var isAtEnd = false

    init(_ request: Request, _ limits: MultipartLimits) throws {
        parser = try MultipartParser(contentType: request.header["content-type"], limits: limits)
        body = request.bodyPieces.makeAsyncIterator()
    }

    func nextPart() async throws -> Request.Part? {
        while !isAtEnd {
            switch try await next() {
            case .part(let name, let fileName, let contentType):
                taken += 1
                hasContent = true
                return Request.Part(
                    name: name, fileName: fileName, contentType: contentType, reader: self, index: taken)
            case .end: isAtEnd = true
            case .partEnd: hasContent = false
            case .data, .needsMore: break  // of a part that was not read to its end
            }
        }
        return nil
    }

    /// The next piece of the current part, `nil` at its end.
    func read(_ part: Request.Part) async throws -> [UInt8]? {
        guard part.index == taken else { throw MultipartError.partIsGone(part.name) }
        while hasContent {
            switch try await next() {
            case .data(let bytes): return bytes
            case .partEnd: hasContent = false
            default: break
            }
        }
        return nil
    }

    /// The next event other than `needsMore`.
    private func next() async throws -> MultipartParser.Event {
        while true {
            let event = try parser.next()
            guard event == .needsMore else { return event }
            var reader = body
            let bytes = try await reader.next(isolation: #isolation)
            body = reader
            guard let bytes else { throw MultipartError.incomplete }
            parser.add(bytes)
        }
    }
}
