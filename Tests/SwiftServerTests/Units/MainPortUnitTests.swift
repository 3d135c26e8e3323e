import Testing

@testable import SwiftServer

/// Servers and ports before the start.
@Suite struct MainPortUnitTests {
    private func code(_ server: Server) -> ServerError.Code? {
        do throws(ServerError) {
            try server.configuration().check()
            return nil
        } catch { return error.code }
    }

    @Test func theOwnPortMayBeForDatagrams() {
        let server = Server(host: "::1", protocol: .udp)
        #expect(server.ports[0].type == .udp)
        #expect(code(server) == .missingHandler)
        server.onPacket { _, _, _ in }
        #expect(code(server) == nil)
    }

    @Test func theOwnPortHasTheProtocolOfItsClass() {
        let web = WebSocketServer(protocol: .webSocket)
        web.onMessage { _, _ in }
        #expect(code(web) == nil)
        for type in PortProtocol.allCases where type != .webSocket {
            #expect(code(WebSocketServer(protocol: type)) == .invalidSetting)
        }
        for type in PortProtocol.allCases where type != .http {
            #expect(code(HTTPServer(protocol: type)) == .invalidSetting)
        }
        #expect(code(Server(protocol: .http)) == .invalidSetting)
    }

    @Test func portsKnowTheirKindOfSocket() {
        let kinds: [(String, PortProtocol, Port.SocketType)] = [
            ("127.0.0.1", .tcp, .tcp), ("localhost", .tcp, .tcp), ("::1", .tcp, .tcp6), ("unix:/a", .tcp, .unixStream),
            ("0.0.0.0", .udp, .udp), ("::", .udp, .udp6), ("unix:/a", .udp, .unixDatagram),
        ]
        for (host, type, kind) in kinds {
            let port = Server(host: host, protocol: type).ports[0]
            #expect(port.socketType == kind)
        }
    }

    @Test func namesWithoutAnAddressAreErrors() throws {
        let port = try #require(Server(host: "a..b", protocol: .tcp).configuration().ports.first)
        #expect(throws: ServerError.self) { try HostName.address("a..b", port) }
        let found = try HostName.address("localhost", port)
        #expect(found == "127.0.0.1" || found == "::1")
        let same = try HostName.address("::1", port)
        #expect(same == "::1")
    }
}
