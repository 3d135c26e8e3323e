/// The answers of ``Settings/monitoringPort``.
extension Monitor {
    func answer(to request: Request) -> AnsweringPort.Answer {
        let path = request.path
        guard ["/metrics", "/healthz", "/readyz"].contains(path) else {
            return AnsweringPort.Answer(
                status: 404, body: "not found: this port has /, /metrics, /healthz and /readyz\n")
        }
        guard request.method == "GET" || request.method == "HEAD" else {
            return AnsweringPort.Answer(status: 405, body: "method not allowed\n", allow: "GET, HEAD")
        }
        switch path {
        case "/metrics":
            let (type, body) = metrics(for: request)
            return AnsweringPort.Answer(type: type, body: body)
        case "/readyz":
            let (status, body) = readiness
            return AnsweringPort.Answer(status: status, body: body)
        default: return AnsweringPort.Answer(body: "alive\n")
        }
    }
}
