import Testing

@testable import SwiftServer

@Suite struct CompressionSettingsTests {
    @Test func settingsAreNamedByWhatTheyCost() {
        #expect(Compression().memoryPerConnection == 0)
        let kibibyte = 1024
        for (memory, windowBits, memoryLevel, cost) in [
            (1024, 15, 8, 301), (301, 15, 8, 301), (300, 14, 7, 157), (64, 12, 5, 49), (22, 10, 3, 22), (21, 9, 2, 18),
            (0, 9, 2, 18),
        ] {
            let compression = Compression.withContextTakeover(memoryPerConnection: memory * kibibyte)
            #expect(compression.contextTakeover)
            #expect(compression.windowBits == windowBits, "\(memory) KiB")
            #expect(compression.memoryLevel == memoryLevel, "\(memory) KiB")
            #expect((compression.memoryPerConnection + kibibyte - 1) / kibibyte == cost, "\(memory) KiB")
        }
    }

    @Test func valuesOutOfRangeAreErrorsThatNameThem() {
        func message(_ change: (inout Compression) -> Void) -> String {
            var compression = Compression()
            change(&compression)
            do {
                try compression.check()
                return "no error"
            } catch {
                return error.message
            }
        }
        #expect(message { $0.level = 10 } == "compression.level must be 1...9, got 10")
        #expect(message { $0.memoryLevel = 0 } == "compression.memoryLevel must be 1...9, got 0")
        #expect(message { $0.windowBits = 7 } == "compression.windowBits must be 8...15, got 7")
    }
}
