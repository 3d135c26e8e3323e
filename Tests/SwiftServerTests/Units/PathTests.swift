import Foundation
import Testing

@testable import SwiftServer

@Suite struct PathTests {
    @Test func relativePathsBecomeAbsolute() {
        let here = FileManager.default.currentDirectoryPath
        #expect(Path.absolute("a/b") == here + "/a/b")
        #expect(Path.absolute("/a/b") == "/a/b")
    }

    @Test func certificatesStayWhereTheyAre() {
        let here = FileManager.default.currentDirectoryPath
        var tls = TLSConfiguration(certificateFile: "a", privateKeyFile: "/b")
        tls.certificates.append(.init(chain: .file("c"), privateKey: .pem([1])))
        tls.clientCertificates = .optional(authorities: .file("d"))
        var absolute = TLSConfiguration(certificateFile: here + "/a", privateKeyFile: "/b")
        absolute.certificates.append(.init(chain: .file(here + "/c"), privateKey: .pem([1])))
        absolute.clientCertificates = .optional(authorities: .file(here + "/d"))
        #expect(tls.withAbsolutePaths() == absolute)
        tls.clientCertificates = .required(authorities: .file("d"))
        absolute.clientCertificates = .required(authorities: .file(here + "/d"))
        #expect(tls.withAbsolutePaths() == absolute)
    }
}
