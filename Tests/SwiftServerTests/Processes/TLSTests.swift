import Glibc
import SwiftServer
import TestProtocol
import Testing

#if TLS
extension ProcessTests {
    /// https and wss through whole servers.
    @Suite struct TLSTests {
        @Test(arguments: ServerMode.supervised) func requestsAndMessages(_ mode: ServerMode) throws {
            let folder = try TLSFolder("one", "two")
            try ServerProcess.run(.echo, mode, workers: 2) {
                $0.certificate = folder.certificate("one")
                $0.otherCertificate = folder.certificate("two")
            } test: { server in
                let client = try TLSClient(server, folder)
                #expect(try client.ask(.open(name: "one")) == ["TLSv1.3", "one"])
                #expect(try client.ask(.open(name: "two")) == ["TLSv1.3", "two"])
                #expect(try client.ask(.get(name: "one", path: "/")) == ["200", "hello"])
                #expect(try client.ask(.get(name: "one", path: "/secure")) == ["200", "true true"])
                #expect(try client.ask(.upgrade(name: "one")) == ["101"])
                #expect(try client.ask(.echo(name: "one", text: "some-text")) == ["9"])
                #expect(try client.ask(.echo(name: "one", text: "large", times: 100_000)) == ["500000"])
                #expect(try client.ask(.close(name: "one")) == ["8", "03e8", "0"])
                try server.expectClose(cause: .peer)
                #expect(try client.ask(.raw(port: server.ports[1], text: "some-bytes")) == ["some-bytes", ""])
            }
        }

        @Test(arguments: ServerMode.supervised) func clientsWithoutTLSGetAnAnswer(_ mode: ServerMode) throws {
            let folder = try TLSFolder("one")
            try ServerProcess.run(.echo, mode, { $0.certificate = folder.certificate("one") }) { server in
                let client = try TLSClient(server, folder)
                #expect(try client.ask(.plain) == ["400", "This port uses TLS: use https:// or wss://"])
                #expect(try client.ask(.old).first == "refused")
                try Wait.until("a line in the log") {
                    server.log.contains("TLS handshake with 127.0.0.1 failed: http request")
                }
            }
        }

        @Test(arguments: ServerMode.supervised) func hangupReadsCertificatesAgain(_ mode: ServerMode) throws {
            let folder = try TLSFolder("one", "two")
            try ServerProcess.run(.echo, mode, workers: 2, { $0.certificate = folder.certificate("one") }) { server in
                let readers = mode == .process ? 2 : 4  // two ports each
                func count(of text: String) -> Int { server.log.split(separator: "\n").count { $0.contains(text) } }
                let client = try TLSClient(server, folder)
                #expect(try client.ask(.open(name: "before")) == ["TLSv1.3", "one"])
                #expect(try client.ask(.upgrade(name: "before")) == ["101"])
                try folder.replace("one", with: "two")
                server.signal(SIGHUP)
                try Wait.until("new certificates") { count(of: "certificates were read again") == readers }
                #expect(try client.ask(.open(name: "after")) == ["TLSv1.3", "two"])
                try folder.damage("one.pem")
                server.signal(SIGHUP)
                try Wait.until("an error") {
                    count(of: "certificates stay as they were: \(folder["one.pem"]): there is no certificate in it")
                        == readers
                }
                #expect(try client.ask(.open(name: "again")) == ["TLSv1.3", "two"])
                #expect(try client.ask(.echo(name: "before", text: "still-there")) == ["11"])
            }
        }

        @Test(arguments: ServerMode.supervised) func newWorkersServeTLS(_ mode: ServerMode) throws {
            let folder = try TLSFolder("one")
            try ServerProcess.run(.echo, mode, { $0.certificate = folder.certificate("one") }) { server in
                let client = try TLSClient(server, folder)
                #expect(try client.ask(.open(name: "one")) == ["TLSv1.3", "one"])
                server.signal(SIGUSR1)
                try server.event(.workerStart, 2)
                try Wait.until("the reload's end") { server.log.contains("all workers are reloaded") }
                #expect(try client.ask(.open(name: "two")) == ["TLSv1.3", "one"])
                #expect(try client.ask(.get(name: "two", path: "/")) == ["200", "hello"])
            }
        }

        @Test(arguments: ServerMode.supervised) func startNamesTheFileAndTheCause(_ mode: ServerMode) throws {
            let folder = try TLSFolder("one", "two")
            let missing = try ServerProcess.runFailing(.echo, mode) {
                $0.certificate = .init(host: "", chain: "/nowhere.pem", key: "/nowhere.key")
            }
            #expect(missing.events.last == .error(.tls, "/nowhere.pem: No such file or directory"))
            let mixed = try ServerProcess.runFailing(.echo, mode) {
                $0.certificate = .init(host: "", chain: folder["one.pem"], key: folder["two.key"])
            }
            let words = "the private key does not belong to the certificate in"
            #expect(mixed.events.last == .error(.tls, "\(folder["two.key"]): \(words) \(folder["one.pem"])"))
            #expect(mixed.events(.managerStart).isEmpty)
        }
    }
}
#endif
