/// The answer to a WebSocket handshake, which `onHandshake` decides.
///
/// ```swift
/// server.onHandshake { request, handshake in
///     guard let user = try await users.find(token: request.query["token"]) else {
///         handshake.header("WWW-Authenticate", "Bearer")
///         return handshake.refuse(status: 401, body: "who are you?")
///     }
///     try handshake.accept(userData: Array(user.name.utf8))
/// }
/// ```
///
/// The decision takes effect when the handler returns; of several decisions the last one counts. A handshake that was
/// neither accepted nor refused is refused with status 403, and with 500 when the handler throws an error, which is
/// logged. When the client leaves before, nothing is called for the connection. When the worker crashes before, the
/// client gets status 500.
@MainActor public final class Handshake {
    /// The request of the handshake.
    public let request: Request

    private enum Decision {
        case accept(subprotocol: String?, userData: [UInt8], userID: UInt32?)
        case refuse(status: Int, body: String)
    }

    private var decision = Decision.refuse(status: 403, body: "")
    private let response: Response
    private let worker: WorkerContext

    convenience init(_ request: Request, worker: WorkerContext) {
        self.init(request, response: Response(to: request.id, worker: worker), worker: worker)
    }

    init(_ request: Request, response: Response, worker: WorkerContext) {
        self.request = request
        self.response = response
        self.worker = worker
    }

    /// Adds a field to the answer, whatever it will be, as ``Response/header(_:_:)``. Cookies are set by
    /// `header("Set-Cookie", "name=value; Path=/; HttpOnly; Secure")`.
    @discardableResult public func header(_ name: String, _ value: String) -> ResponseResult {
        response.header(name, value)
    }

    /// Accepts the handshake: `onOpen` follows.
    ///
    /// - Parameters:
    ///   - subprotocol: one of ``Request/subprotocols``, "" for none. `nil`: the first of ``Settings/subprotocols``
    ///     that the client offers. The chosen one is ``ConnectionInfo/subprotocol``.
    ///   - userData: up to 256 bytes that the connection keeps, whatever happens to its worker: every process finds
    ///     them in ``ConnectionInfo/userData``.
    ///   - userID: the user id, as ``Server/bind(_:to:)->CommandResult`` sets it. With ``Dispatch/byUser`` the
    ///     worker of the user gets `onOpen` already.
    /// - Throws: ``WebSocketError/invalidSubprotocol`` or ``WebSocketError/invalidUserData``; the handshake is not
    ///   accepted then.
    public func accept(
        subprotocol: String? = nil, userData: [UInt8] = [], userID: Int? = nil
    ) throws(WebSocketError) {
        if let subprotocol, !subprotocol.isEmpty, !request.subprotocols.contains(subprotocol) {
            throw .invalidSubprotocol
        }
        let user = userID.flatMap(UInt32.init(exactly:))
        guard userData.count <= Handshake.mostUserData, userID == nil || user ?? 0 > 0 else { throw .invalidUserData }
        decision = .accept(subprotocol: subprotocol, userData: userData, userID: user)
    }

    /// Refuses the handshake. The connection stays open for further requests.
    ///
    /// - Parameters:
    ///   - status: 400 to 599, for example 401 or 403; 500 is sent for another number.
    ///   - body: the body of the answer.
    public func refuse(status: Int = 403, body: String = "") {
        decision = .refuse(status: (400...599).contains(status) ? status : 500, body: body)
    }

    private static let mostUserData = 256

    // MARK: The outcome

    /// Whether the client has its answer: the time limit has passed.
    private(set) var isAnswered = false

    /// Carries out the decision of a handler that has returned.
    func conclude() {
        guard !isAnswered else { return }
        switch decision {
        case .refuse(let status, let body): answer(status, body)
        case .accept(let subprotocol, let userData, let userID):
            if let userID, !bind(userID) { return fail("the connection has another user id") }
            isAnswered = true
            switch worker.link.upgrade(request.id, subprotocol: subprotocol, fields: response.fields, data: userData) {
            case .accepted, .gone: response.handOver()
            case .invalid:
                isAnswered = false
                fail("its fields cannot be sent with the answer")
            }
        }
    }

    /// The handler has failed.
    func fail(_ cause: String) {
        guard !isAnswered else { return }
        Log.error("\(worker.name): onHandshake has failed on connection \(request.fd): \(cause)")
        answer(500, "")
    }

    /// The handler has taken too long.
    func timeOut() {
        guard !isAnswered else { return }
        if let ending = worker.lateLines.ending() {
            Log.warning("\(worker.name): onHandshake has not decided in time on connection \(request.fd)\(ending)")
        }
        answer(503, "")
    }

    private func answer(_ status: Int, _ body: String) {
        isAnswered = true
        response.status(status)
        response.end(body)
    }

    private func bind(_ user: UInt32) -> Bool {
        worker.bind(request.fd, to: user).isAccepted || worker.info(request.fd).map { $0.userID == Int(user) } ?? true
    }
}
