internal import CReactor
internal import CReactorInternal

/// Responses. A client that has left is no error: nobody is waiting for the response.
extension WorkerLink {
    /// Sends a response, or with `more` its head and the first piece of its body.
    @discardableResult
    func respond(
        _ request: RequestID, status: UInt16, fields: [UInt8], body: UnsafeRawBufferPointer,
        more: Bool = false
    ) -> Bool {
        unsafe fields.withUnsafeBytes { fields in
            let send = unsafe more ? cre_worker_respond_more : cre_worker_respond
            return unsafe send(
                raw, request.connection.rawValue, request.number, status, false, fields.baseAddress,
                fields.count, body.baseAddress, body.count) == 0
        }
    }

    /// Sends an empty response with status 500 and closes the connection.
    func refuse(_ request: RequestID) {
        unsafe cre_worker_respond(raw, request.connection.rawValue, request.number, 500, true, nil, 0, nil, 0)
    }

    /// Sends a further piece of the body.
    func respondBody(_ request: RequestID, _ bytes: UnsafeRawBufferPointer, final: Bool) -> Bool {
        unsafe cre_worker_respond_body(
            raw, request.connection.rawValue, request.number, bytes.baseAddress, bytes.count, final) == 0
    }

    /// Sends a response with a file as its body.
    func respondFile(
        _ request: RequestID, status: UInt16, fields: [UInt8], path: String, offset: UInt64,
        length: UInt64
    ) {
        _ = unsafe fields.withUnsafeBytes { fields in
            unsafe cre_worker_respond_file(
                raw, request.connection.rawValue, request.number, status, false, fields.baseAddress,
                fields.count, path, offset, length)
        }
    }
}
