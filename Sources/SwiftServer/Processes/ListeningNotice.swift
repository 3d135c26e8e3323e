/// The line of the log that names all ports of a server.
enum ListeningNotice {
    /// "listening on 127.0.0.1 port 9501, udp 127.0.0.1 port 9502, http unix:/run/app.socket, base mode, 2 workers".
    static func text(_ context: ServerContext) -> String {
        let own = context.configuration.ports[0].type
        let ports = zip(context.configuration.ports, context.ports).map { port, number in
            let place = port.isLocal ? port.host : "\(port.host) port \(number)"
            let security = port.tls == nil ? "" : " (TLS)"
            return (port.index == 0 || port.type == own ? "" : "\(port.type) ") + place + security
        }
        let division =
            context.mode == .single
            ? "all in one process" : "\(context.mode.rawValue) mode, \(context.layout.workers) workers"
        let control = context.settings.controlSocket.map { ["control unix:\($0)"] } ?? []
        return "listening on \((ports + monitoring(context) + control + [division]).joined(separator: ", "))"
    }

    /// "monitoring 127.0.0.1 port 9464".
    private static func monitoring(_ context: ServerContext) -> [String] {
        guard let port = context.configuration.monitoringPort else { return [] }
        return ["monitoring \(port.isLocal ? port.host : "\(port.host) port \(context.monitoringPort ?? port.port)")"]
    }
}
