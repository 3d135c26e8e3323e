/// The handlers of a server as a whole.
extension Server {
    /// Whether the server has a handler for an event. See ``Port/handles(_:)`` for those of further ports.
    public func handles(_ event: ServerEvent) -> Bool { ports[0].handles(event) }

    /// Registers the handler of an event by `change`, before the start.
    func register(_ event: ServerEvent.Kind, _ change: () -> Void) { ports[0].register(event, change) }

    /// Throws an error that names the first handler that could never be called.
    func checkEvents() throws(ServerError) {
        for port in ports {
            if let error = port.registrationError { throw ServerError(code: .invalidHandler, message: error) }
        }
        for port in ports where port.type == .webSocket && !(self is WebSocketServer) {
            throw .setting("\(port.configuration(ports[0], absolutePaths: false).name) needs a WebSocketServer")
        }
        for event in ServerEvent.Kind.allCases {
            guard let protocols = event.protocols else { continue }
            if let port = ports.dropFirst().first(where: {
                $0.events.contains(event) && !protocols.contains($0.type)
            }) {
                throw ServerError(
                    code: .invalidHandler, message: "\(misplaced(event, port)), which needs \(protocols.text)")
            }
            // The handlers of the server are also those of its other ports.
            if ports[0].events.contains(event), !ports.contains(where: { protocols.contains($0.type) }) {
                throw ServerError(
                    code: .invalidHandler,
                    message: "\(misplaced(event, ports[0])), which needs \(protocols.text); there is none")
            }
        }
    }

    private func misplaced(_ event: ServerEvent.Kind, _ port: Port) -> String {
        let name = port.configuration(ports[0], absolutePaths: false).name
        return "\(name) cannot have an \(event.handlerName) handler"
    }
}

extension [PortProtocol] {
    /// The ports that have one of these protocols, like "a .http or .webSocket port".
    fileprivate var text: String { "a \(map { ".\($0)" }.joined(separator: " or ")) port" }
}
