import Glibc
import Testing

@testable import SwiftServer

/// Sockets of a service manager: who gets which.
@Suite(.serialized) struct PassedSocketTests {
    /// Listening sockets with one number, at descriptors in a row.
    private final class Row {
        let first: Int32 = 700
        let port: Int
        private var count: Int32 = 0

        /// Each is "0.0.0.0", "::" or "::only", which does not serve IPv4.
        init(_ hosts: [String]) throws {
            var port: in_port_t = 0
            for host in hosts {
                let isOld = host == "0.0.0.0"
                let descriptor = socket(isOld ? AF_INET : AF_INET6, Int32(SOCK_STREAM.rawValue), 0)
                var only: Int32 = host == "::only" ? 1 : 0
                unsafe setsockopt(
                    descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &only, socklen_t(MemoryLayout<Int32>.size))
                var old = sockaddr_in()
                old.sin_family = sa_family_t(AF_INET)
                old.sin_port = port.bigEndian
                var new = sockaddr_in6()
                new.sin6_family = sa_family_t(AF_INET6)
                new.sin6_port = port.bigEndian
                var size = socklen_t(isOld ? MemoryLayout<sockaddr_in>.size : MemoryLayout<sockaddr_in6>.size)
                func bindSocket(_ address: UnsafeMutableRawPointer) -> Int32 {
                    let address = unsafe address.assumingMemoryBound(to: sockaddr.self)
                    let result = unsafe bind(descriptor, address, size)
                    return result != 0 ? result : unsafe getsockname(descriptor, address, &size)
                }
                let result = unsafe isOld ? bindSocket(&old) : bindSocket(&new)
                try #require(result == 0 && listen(descriptor, 1) == 0)
                port = in_port_t(bigEndian: isOld ? old.sin_port : new.sin6_port)
                dup2(descriptor, first + count)
                close(descriptor)
                count += 1
            }
            self.port = Int(port)
        }

        deinit { for descriptor in first..<(first + count) { close(descriptor) } }

        /// The place of the socket that a port at `host` takes.
        func taken(by host: String) throws -> Int? {
            let count = count
            var passed = try PassedSockets(
                { ["LISTEN_FDS": "\(count)", "LISTEN_PID": "1"][$0] }, pid: 1, first: first)
            let server = Server(host: host, port: port)
            let port = try #require(server.configuration().ports.first)
            return try passed.take(port, host).map { Int($0 - first) }
        }
    }

    @Test func theOwnAddressComesBeforeAllAddresses() throws {
        let row = try Row(["::only", "0.0.0.0"])
        #expect(try row.taken(by: "0.0.0.0") == 1)
        #expect(try row.taken(by: "::") == 0)
        #expect(try row.taken(by: "127.0.0.1") == nil)
    }

    @Test func allAddressesAreThoseOfIPv4Too() throws {
        #expect(try Row(["::"]).taken(by: "0.0.0.0") == 0)
        #expect(try Row(["::only"]).taken(by: "0.0.0.0") == nil)
        #expect(try Row(["0.0.0.0"]).taken(by: "::") == nil)
    }

    @Test func socketsForAnotherProcessAreALineOfTheLog() {
        func line(_ environment: [String: String]) -> String? {
            PassedSockets.ignored({ environment[$0] }, pid: 12)
        }
        #expect(line([:]) == nil && line(["LISTEN_FDS": "1", "LISTEN_PID": "12"]) == nil)
        #expect(
            line(["LISTEN_FDS": "1", "LISTEN_PID": "7"])?.contains("LISTEN_PID is \"7\", and this process is 12")
                == true)
        #expect(line(["LISTEN_FDS": "1"])?.contains("LISTEN_PID is missing") == true)
    }
}
