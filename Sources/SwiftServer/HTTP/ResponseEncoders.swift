internal import CReactor

/// The encoders of a worker for one configuration of compression, whose memory is used again.
@safe final class ResponseEncoders: @unchecked Sendable {
    // `@unchecked`: used on the loop's thread only.
    let settings: ResponseCompression
    let codings: [ContentCoding]
    private let pool: OpaquePointer?

    init(_ settings: ResponseCompression) {
        self.settings = settings
        codings = settings.supported
        var config = settings.config
        var pool: OpaquePointer?
        // Without memory for it, nothing is compressed.
        if unsafe cre_http_encoders_create(&config, &pool) != 0 { unsafe pool = nil }
        unsafe self.pool = pool
    }

    // Encoders have a reference to this object, so all are closed.
    deinit { unsafe cre_http_encoders_destroy(pool) }

    /// Opens an encoder; `nil` when there are too many, or no memory.
    func open(_ coding: ContentCoding) -> OpaquePointer? {
        guard let pool = unsafe pool else { return nil }
        var encoder: OpaquePointer?
        return unsafe cre_http_encoder_open(pool, coding.core, &encoder) == 0 ? encoder : nil
    }
}

/// The compression of a server's ports in a worker.
@safe final class PortEncoders: @unchecked Sendable {
    // `@unchecked`: used on the loop's thread only.
    private let byPort: [ResponseEncoders?]
    /// Whether all ports have the same.
    private let isUniform: Bool

    /// `server` is for ports that have no settings of their own. `nil`: no port compresses.
    init?(server: ResponseCompression?, ports: [ResponseCompression?]) {
        guard server != nil || ports.contains(where: { $0 != nil }) else { return nil }
        let common = server.map(ResponseEncoders.init)
        byPort = ports.map { $0.map(ResponseEncoders.init) ?? common }
        isUniform = ports.allSatisfy { $0 == nil }
    }

    /// Has a response compressed, if it turns out to be worth it.
    @MainActor func prepare(_ response: Response, for request: Request) {
        let port = isUniform ? 0 : request.connectionInfo?.portIndex ?? 0
        guard byPort.indices.contains(port), let encoders = byPort[port], !encoders.codings.isEmpty else { return }
        response.neededExtras.transform = ResponseEncoder(encoders, request)
    }
}

/// The compression of one response.
@safe @MainActor final class ResponseEncoder: BodyTransform {
    private let encoders: ResponseEncoders
    private let request: Request
    private var encoder: OpaquePointer?
    var use = ResponseCompression.Use.automatic

    init(_ encoders: ResponseEncoders, _ request: Request) {
        self.encoders = encoders
        self.request = request
    }

    isolated deinit { unsafe cre_http_encoder_close(encoder) }

    func begin(_ response: Response, length: Int?) -> Bool {
        guard use != .never, isPossible(response) else { return false }
        let settings = encoders.settings
        let isWanted = use == .always || response.headers["Content-Type"].map(settings.hasType) ?? false
        guard isWanted else { return false }
        let accepted = AcceptedCodings(request.header.all("accept-encoding"))
        let isSmall = use != .always && length ?? .max < settings.threshold
        // A client that refuses the body as it is gets even a small one compressed.
        guard !isSmall || accepted.weightOfIdentity == 0 else { return false }
        addVary(response)
        guard let coding = accepted.best(of: encoders.codings) else { return false }
        unsafe encoder = encoders.open(coding)
        guard unsafe encoder != nil else { return false }
        // Not by `headers`, which count as sent from here on.
        _ = response.packed.append("Content-Encoding", coding.rawValue)
        if let tag = response.packed.first("ETag"), EntityTag.isStrong(tag) {
            _ = response.packed.set("ETag", "W/" + tag)
        }
        response.packed.remove("Accept-Ranges")
        return true
    }

    /// Whether the response may be compressed at all.
    private func isPossible(_ response: Response) -> Bool {
        guard response.status != 204, response.status != 206, response.status != 304 else { return false }
        let headers = response.headers
        for name in ["Content-Encoding", "Content-Range", "Content-Digest", "Content-MD5"] where headers[name] != nil {
            return false
        }
        let cacheControl = headers.all("Cache-Control") + request.header.all("cache-control")
        return !cacheControl.contains { $0.lowercased().contains("no-transform") }
    }

    private func addVary(_ response: Response) {
        let names = response.headers.all("Vary").flatMap { $0.lowercased().split(separator: ",") }
        if !names.contains(where: { ["accept-encoding", "*"].contains($0.trimmed) }) {
            _ = response.packed.append("Vary", "Accept-Encoding")
        }
    }

    func add(_ bytes: UnsafeRawBufferPointer, isLast: Bool) -> [UInt8] {
        guard let encoder = unsafe encoder else { return [] }  // it has failed
        var cursor = unsafe bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
        let end = unsafe cursor.map { unsafe $0 + bytes.count }
        let mode = isLast ? CRE_HTTP_ENCODE_END : CRE_HTTP_ENCODE_FLUSH
        var output: [UInt8] = []
        var result: Int32 = 1
        while result == 1 {
            let capacity = max(1024, min(bytes.count / 3, 1 << 18))
            let piece = unsafe [UInt8](unsafeUninitializedCapacity: capacity) { out, count in
                unsafe result = cre_http_encode(encoder, &cursor, end, mode, out.baseAddress, capacity, &count)
            }
            if output.isEmpty { output = piece } else { output += piece }
        }
        if result < 0 {
            // A part of the body is lost: the client must not take the rest for all of it.
            Log.error("cannot compress a response: \(errorText(result))")
            _ = CurrentWorker.context?.link.command(CRE_COMMAND_RESET, request.fd)
        }
        if isLast || result < 0 {
            unsafe cre_http_encoder_close(encoder)
            unsafe self.encoder = nil
        }
        return output
    }
}

extension Response {
    @inline(never) func compress(_ compression: AnyObject, _ request: Request) {
        unsafe unsafeDowncast(compression, to: PortEncoders.self).prepare(self, for: request)
    }

    /// Whether the body is compressed, on a port with ``Settings/compressResponses``; to be set before the first piece.
    /// Default: by its type and size. Without that setting it has no effect, and is always
    /// ``ResponseCompression/Use/never``.
    public var compression: ResponseCompression.Use {
        get { (extras?.transform as? ResponseEncoder)?.use ?? .never }
        set { (extras?.transform as? ResponseEncoder)?.use = newValue }
    }
}
