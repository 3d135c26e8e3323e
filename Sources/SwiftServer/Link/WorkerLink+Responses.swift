internal import CReactor
internal import CReactorInternal

/// Responses. A client that has left is no error: nobody is waiting for the response.
extension WorkerLink {
    /// Sends a response, or with `more` its head and the first piece of its body. The type of a body that `isText` is
    /// that of plain text, unless the fields have another one. Fields and status must be valid.
    @discardableResult
    func respond(
        _ request: RequestID, status: UInt16, fields: [UInt8], body: UnsafeRawBufferPointer, isText: Bool = false,
        more: Bool = false
    ) -> Bool {
        unsafe fields.withUnsafeBytes {
            unsafe respond(request, status: status, fields: $0, body: body, isText: isText, more: more)
        }
    }

    @inline(__always)
    func respond(
        _ request: RequestID, status: UInt16, fields: UnsafeRawBufferPointer, body: UnsafeRawBufferPointer,
        isText: Bool, more: Bool = false
    ) -> Bool {
        let options = UInt32(isText ? CRE_RESPOND_CHECKED | CRE_RESPOND_TEXT : CRE_RESPOND_CHECKED)
        let (fd, number) = (request.connection.rawValue, request.number)
        let result =
            more
            ? unsafe cre_worker_respond_more(
                raw, fd, number, status, options, fields.baseAddress, fields.count, body.baseAddress, body.count)
            : unsafe cre_worker_respond(
                raw, fd, number, status, options, fields.baseAddress, fields.count, body.baseAddress, body.count)
        if result != 0 { failed(request, result) }
        return result == 0
    }

    /// Ends the connection when there was no room or no memory for a response, and refuses the request when its fields
    /// are too many for the protocol: the client would wait for ever.
    @inline(never) private func failed(_ request: RequestID, _ error: Int32) {
        switch error {
        case CRE_ELINK_FULL.rawValue, CRE_ENOMEM.rawValue: command(CRE_COMMAND_RESET, request.connection)
        case CRE_EHTTP_HEAD_TOO_LARGE.rawValue:
            Log.error("the fields of a response are too large; the client gets status 500")
            refuse(request)
        default: break
        }
    }

    /// Sends an interim response, before the response.
    func respondInterim(_ request: RequestID, status: UInt16, fields: UnsafeRawBufferPointer) -> Bool {
        unsafe cre_worker_respond_interim(
            raw, request.connection.rawValue, request.number, status, fields.baseAddress, fields.count) == 0
    }

    /// Sends an empty response with status 500 and closes the connection.
    func refuse(_ request: RequestID) {
        let result = unsafe cre_worker_respond(
            raw, request.connection.rawValue, request.number, 500, UInt32(CRE_RESPOND_CLOSE), nil, 0, nil, 0)
        if result != 0 { failed(request, result) }
    }

    /// Sends a further piece of the body.
    func respondBody(_ request: RequestID, _ bytes: UnsafeRawBufferPointer, final: Bool) -> Bool {
        unsafe cre_worker_respond_body(
            raw, request.connection.rawValue, request.number, bytes.baseAddress, bytes.count, final) == 0
    }

    /// Sends the last piece of a body, and trailers behind it.
    func respondBody(_ request: RequestID, _ bytes: UnsafeRawBufferPointer, trailers: [UInt8]) {
        _ = unsafe trailers.withUnsafeBytes {
            unsafe cre_worker_respond_trailers(
                raw, request.connection.rawValue, request.number, bytes.baseAddress, bytes.count, $0.baseAddress,
                $0.count)
        }
    }

    /// Sends a response with a file as its body. `descriptor`: the file, if it was opened before, and is given away;
    /// the part must lie within it then.
    func respondFile(
        _ request: RequestID, status: UInt16, fields: [UInt8], path: String, offset: UInt64,
        length: UInt64, descriptor: Int32
    ) {
        let result = unsafe fields.withUnsafeBytes { fields in
            unsafe cre_worker_respond_file(
                raw, request.connection.rawValue, request.number, status, false, fields.baseAddress,
                fields.count, path, offset, length, descriptor)
        }
        if result != 0 { failed(request, result) }
    }

    /// Sends a response with a file beneath a folder as its body: a `cre_folder_file` and what follows it.
    /// `descriptor`: the file, if it was opened before, and is given away; -1: the owner of the connection opens it.
    func respondFolderFile(
        _ request: RequestID, status: UInt16, fields: [UInt8], _ description: [UInt8], descriptor: Int32
    ) {
        let result = unsafe fields.withUnsafeBytes { fields in
            unsafe description.withUnsafeBytes { description in
                unsafe cre_worker_respond_folder_file(
                    raw, request.connection.rawValue, request.number, status, false, fields.baseAddress,
                    fields.count, description.baseAddress, description.count, descriptor)
            }
        }
        // Has no effect when the client got an error page, or is gone.
        if result != 0 { refuse(request) }
    }

    enum UpgradeResult { case accepted, gone, invalid }

    /// Answers a handshake with 101. Without a subprotocol the settings choose one. The connection keeps `data`.
    func upgrade(
        _ request: RequestID, subprotocol: String?, fields: [UInt8], data: [UInt8] = []
    ) -> UpgradeResult {
        let result = unsafe fields.withUnsafeBytes { fields in
            let upgrade = { (name: UnsafePointer<CChar>?, length: Int) in
                unsafe data.withUnsafeBytes {
                    unsafe cre_worker_upgrade(
                        raw, request.connection.rawValue, request.number, name, length, fields.baseAddress,
                        fields.count, $0.baseAddress, $0.count)
                }
            }
            guard let subprotocol else { return upgrade(nil, 0) }
            return unsafe subprotocol.withCString { unsafe upgrade($0, subprotocol.utf8.count) }
        }
        switch result {
        case 0: return .accepted
        case CRE_EINVALID.rawValue, CRE_ELIMIT.rawValue, CRE_EHTTP_INVALID_FIELD.rawValue,
            CRE_EHTTP_HEAD_TOO_LARGE.rawValue:
            return .invalid
        default: return .gone
        }
    }

    /// Asks for the handshake of a connection that a predecessor has opened. False when it is no open WebSocket.
    func adopt(_ fd: ConnectionID) -> Bool { command(CRE_COMMAND_ADOPT, fd).isAccepted }
}
