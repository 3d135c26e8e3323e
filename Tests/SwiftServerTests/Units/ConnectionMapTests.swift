import Testing

@testable import SwiftServer

@Suite struct ConnectionMapTests {
    private static func id(_ number: UInt64) -> ConnectionID { ConnectionID(rawValue: number) }

    @Test func valuesAreFoundReplacedAndRemoved() {
        var map = ConnectionMap<String>()
        let (a, b) = (ConnectionMapTests.id(1 << 32 | 7), ConnectionMapTests.id(2 << 32 | 7))
        #expect(map.isEmpty && map[a] == nil)
        map[a] = nil
        map[a] = "a"
        map[b] = "b"
        #expect(map[a] == "a" && map[b] == "b" && map[ConnectionMapTests.id(7)] == nil && map.count == 2)
        map[a] = "c"
        #expect(map[a] == "c" && map.count == 2)
        map[a] = nil
        map[a] = nil
        #expect(map[a] == nil && map[b] == "b" && map.keys == [b])
        #expect(map[ConnectionMapTests.id(0)] == nil)
        map[ConnectionMapTests.id(0)] = nil
        #expect(map.count == 1)
    }

    /// Compared with a dictionary. `spread`: the distance of the ids, as where workers share the connections.
    @Test(arguments: [1, 2, 16, 1 << 32] as [UInt64]) func anyOrder(_ spread: UInt64) {
        var random = SystemRandomNumberGenerator()
        var map = ConnectionMap<Int>()
        var model: [ConnectionID: Int] = [:]
        for limit in [8, 500, 4] {
            for value in 0..<4000 {
                let id = ConnectionMapTests.id(UInt64.random(in: 1...1000, using: &random) &* spread)
                if model.count < limit, Bool.random(using: &random) {
                    map[id] = value
                    model[id] = value
                } else {
                    let gone = model.count < limit ? id : model.keys.first ?? id
                    map[gone] = nil
                    model[gone] = nil
                }
                #expect(map.count == model.count && map[id] == model[id])
            }
            #expect(Set(map.keys) == Set(model.keys) && model.allSatisfy { map[$0.key] == $0.value })
        }
    }
}
