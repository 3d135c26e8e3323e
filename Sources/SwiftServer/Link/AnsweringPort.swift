internal import CReactor
internal import CReactorInternal

/// A port for HTTP that its loop serves by itself: one function answers each request. It needs no worker, so it answers
/// whatever the workers do.
@safe final class AnsweringPort {
    /// An answer to a request.
    struct Answer {
        var status = 200
        var type = "text/plain; charset=utf-8"
        var body = ""
        /// The value of `Allow`, for status 405.
        var allow: String?
        /// Further fields of the head, each with CR and LF at its end.
        var fields = ""
    }

    /// Few clients use it, and a slow or silent one must not keep others out for long.
    private static let mostConnections: UInt32 = 128
    private static let timeout: UInt32 = 10_000

    private var engine: OpaquePointer?
    private let answer: (Request, @escaping (Answer) -> Void) -> Void

    /// Serves a listening socket, which it owns from then on. On the loop's thread.
    ///
    /// - Parameters:
    ///   - setting: the setting that has asked for the port, for errors.
    ///   - maxBody: the largest body of a request in bytes; a larger one is answered with 413.
    ///   - answer: gives the answer to its second argument, at once or later, on the loop's thread.
    init(
        _ loop: EventLoop, _ socket: Int32, setting: String, maxBody: UInt32 = 1024,
        _ answer: @escaping (Request, @escaping (Answer) -> Void) -> Void
    ) throws(ServerError) {
        self.answer = answer
        var port = unsafe cre_port_options()
        unsafe port.size = MemoryLayout<cre_port_options>.size
        unsafe port.`protocol` = CRE_PROTOCOL_HTTP
        unsafe port.http = true
        var config = unsafe cre_engine_config()
        unsafe config.size = MemoryLayout<cre_engine_config>.size
        unsafe config.http = true
        unsafe config.max_connections = AnsweringPort.mostConnections
        unsafe config.max_head = 8192
        // An answer is that to the only request of its connection.
        unsafe config.max_pipelined = 1
        unsafe config.max_body = maxBody
        unsafe config.head_timeout_ms = AnsweringPort.timeout
        unsafe config.body_timeout_ms = AnsweringPort.timeout
        unsafe config.idle_timeout_ms = AnsweringPort.timeout
        unsafe config.context = Unmanaged.passUnretained(self).toOpaque()
        unsafe config.on_event = { context, _, event, payload in
            guard let context = unsafe context, let event = unsafe event else { return 0 }
            unsafe Unmanaged<AnsweringPort>.fromOpaque(context)._withUnsafeGuaranteedRef {
                unsafe $0.receive(event.pointee, payload)
            }
            return 0
        }
        var engine: OpaquePointer?
        var result = unsafe withUnsafePointer(to: port) {
            unsafe config.ports = $0
            unsafe config.port_count = 1
            return unsafe cre_engine_create(loop.raw, &config, &engine)
        }
        if result == 0 { result = unsafe cre_engine_serve(engine, socket, 0) }
        guard result == 0 else {
            unsafe cre_engine_destroy(engine)
            throw .system("cannot serve \(setting)", result)
        }
        unsafe self.engine = engine
    }

    /// Closes its connections and its socket. Before the loop ends, on its thread.
    func close() {
        unsafe cre_engine_destroy(engine)
        unsafe engine = nil
    }

    private func receive(_ event: cre_record, _ payload: UnsafeMutablePointer<UInt8>?) {
        guard UInt32(event.kind) == CRE_EVENT_REQUEST.rawValue else { return }
        let fd = ConnectionID(rawValue: event.session)
        let bytes = unsafe UnsafeRawBufferPointer(start: payload, count: Int(event.length))
        guard let request = unsafe Request(fd: fd, number: event.opcode, receivedAt: 0, payload: bytes) else { return }
        answer(request) { [weak self] in self?.send($0, to: event.session) }
    }

    private func send(_ answer: Answer, to session: UInt64) {
        guard let engine = unsafe engine else { return }
        var fields = "Content-Type: \(answer.type)\r\nCache-Control: no-store\r\n\(answer.fields)"
        if let allow = answer.allow { fields += "Allow: \(allow)\r\n" }
        var body = answer.body
        _ = body.withUTF8 {
            unsafe cre_engine_respond(
                engine, session, UInt16(answer.status), fields, $0.baseAddress, $0.count)
        }
    }
}
