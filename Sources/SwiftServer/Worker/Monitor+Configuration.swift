extension Monitor {
    /// `numbers` are the ports that the sockets are bound to.
    convenience init(_ bus: Bus, _ flags: ControlFlags, _ configuration: ServerConfiguration, _ numbers: [Int]) {
        let ports = zip(configuration.ports, numbers).filter { $0.0.type != .udp }.map { port, number in
            Monitor.Port(index: port.index, label: port.isLocal ? port.host : "\(number)", type: port.type)
        }
        self.init(bus, flags, configuration.layout, configuration.mode, configuration.settings, ports: ports)
    }
}
