import SwiftServer
import Testing

@Suite struct VersionTests {
    @Test func isThreeNumbers() {
        #expect(version.split(separator: ".").compactMap { Int($0) }.count == 3)
    }
}
