internal import CReactor

extension PortSettings {
    /// Throws an error that names the first invalid setting.
    func check(_ name: String, _ spoken: PortProtocol) throws(ServerError) {
        func require(_ good: Bool, _ message: String) throws(ServerError) {
            if !good { throw ServerError(code: .invalidSetting, message: "\(name): \(message)") }
        }
        try compressResponses?.check("\(name): compressResponses")
        try proxyProtocol?.check(name)
        try require(framing == .none || spoken == .tcp, "framing needs a tcp port, not \(spoken)")
        try require((1...1 << 28).contains(maxPacket), "maxPacket must be 1 byte to 256 MiB, got \(maxPacket)")
        try require(
            unsafe framing.config(maxLength: maxPacket) != nil,
            "framing must have a marker of 1 to 8 bytes, or a length field within the packet")
        for (what, value) in [("maxMessage", maxMessage), ("maxBody", maxBody), ("maxQueue", maxQueue)] {
            try require(
                value.map { (1024...1 << 28).contains($0) } ?? true, "\(what) must be 1 KiB to 256 MiB")
        }
        try require(maxStreamedBody.map { $0 >= 1024 } ?? true, "maxStreamedBody must be 1 KiB or more")
        try require(maxHead.map { (256...65_535).contains($0) } ?? true, "maxHead must be 256...65,535 bytes")
        try require(maxStreams.map { (1...10_000).contains($0) } ?? true, "maxStreams must be 1...10,000")
        for (what, value, most) in [("streamWindow", streamWindow, 16), ("connectionWindow", connectionWindow, 64)] {
            try require(
                value.map { (65_535...most << 20).contains($0) } ?? true,
                "\(what) must be 65,535 bytes to \(most) MiB")
        }
        let needsHTTP2 = http2 == true || maxStreams != nil || streamWindow != nil || connectionWindow != nil
        try require(
            !needsHTTP2 || cre_http2_supported(),
            "http2, maxStreams, streamWindow and connectionWindow need a build with the trait HTTP2")
        for (what, value) in [
            ("backlog", backlog), ("fastOpen", fastOpen), ("receiveBuffer", receiveBuffer), ("sendBuffer", sendBuffer),
        ] {
            try require(value.map { (1...1 << 30).contains($0) } ?? true, "\(what) must be 1 or more")
        }
        for (what, value) in [
            ("headTimeout", headTimeout), ("handshakeTimeout", handshakeTimeout), ("bodyTimeout", bodyTimeout),
            ("messageTimeout", messageTimeout),
            ("idleTimeout", idleTimeout), ("closeTimeout", closeTimeout),
        ] {
            try require(
                value.map { $0 >= .milliseconds(1) && $0 <= .seconds(86_400) } ?? true,
                "\(what) must be 1 ms to 1 day")
        }
        // The system counts these in seconds, and 0 means "not set".
        try require(
            keepAlive.map {
                $0.idle >= .seconds(1) && $0.idle <= .seconds(32_767) && $0.interval >= .seconds(1)
                    && $0.interval <= .seconds(32_767) && (1...127).contains($0.count)
            } ?? true, "keepAlive must be 1...32,767 seconds for idle and interval, and 1...127 for count")
        try require(
            deferAccept.map { $0 > .zero && $0 <= .seconds(86_400) } ?? true,
            "deferAccept must be more than 0 and at most 1 day")
        try require(
            (1...0o777).contains(permissions),
            "permissions must be 0o001...0o777, got 0o\(String(permissions, radix: 8))"
        )
        try require(descriptor.map { $0 > 0 } ?? true, "descriptor must be more than 0")
        try require(descriptor == nil || socketName == nil, "descriptor and socketName exclude each other")
        try require(
            socketName.map { !$0.isEmpty && $0.utf8.count <= 255 && !$0.contains(":") } ?? true,
            "socketName must be 1...255 bytes without a colon")
    }
}
