import Foundation
import SwiftServer
import Testing

/// Tables, atomics and locks as Swift sees them, within one process. See also SharedProcessTests, and the core's tests.
@Suite struct SharedTableTests {
    private let visits = SharedColumn<Int>("visits")
    private let score = SharedColumn<Double>("score")
    private let active = SharedColumn<Bool>("active")
    private let fd = SharedColumn<ConnectionID>("fd")
    private let name = SharedColumn<String>("name", size: 10)
    private let data = SharedColumn<[UInt8]>("data", size: 4)

    private func make(_ rows: Int = 16) throws -> SharedTable {
        try SharedTable(rows: rows, columns: visits, score, active, fd, name, data)
    }

    private func code(_ body: () throws -> Void) -> SharedMemoryError.Code? {
        do {
            try body()
            return nil
        } catch { return (error as? SharedMemoryError)?.code }
    }

    @Test func valuesOfAllTypes() throws {
        let table = try make()
        let id = ConnectionID(rawValue: .max)
        try table.set(
            "a", visits.to(.min), score.to(-0.5), active.to(true), fd.to(id), name.to("zehn Z. ä"), data.to([0, 255]))
        let row = try #require(table["a"])
        #expect(row[visits] == .min && row[score] == -0.5 && row[active] && row[fd] == id)
        #expect(row[name] == "zehn Z. ä" && row[data] == [0, 255])
        try table.set("a", visits.to(1))
        #expect(table["a", name] == "zehn Z. ä" && table["a", visits] == 1)
        try table.set("a", name.to(""))
        #expect(table["a", name] == "")
        #expect(table["b"] == nil && table["b", visits] == nil)
        #expect(table.contains("a") && !table.contains("b") && table.count == 1 && !table.isEmpty)
    }

    @Test func countingAndDeleting() throws {
        let table = try make()
        #expect(try table.increment("a", visits) == 1)
        #expect(try table.increment("a", visits, by: 41) == 42)
        #expect(try table.decrement("a", visits, by: 2) == 40)
        #expect(try table.decrement("b", visits, by: .min) == .min)
        #expect(try table.increment("a", score, by: 0.5) == 0.5)
        #expect(try table.remove("a", if: { row in row[visits] == 41 }) == nil)
        #expect(try table.remove("a", if: { row in row[visits] == 40 })?[score] == 0.5)
        #expect(try table.remove("a") == nil)
        #expect(try table.remove(String(repeating: "x", count: 64)) == nil)
        #expect(try table.increment("a", visits) == 1)
        let statistics = table.statistics
        #expect(statistics.inserted == 3 && statistics.deleted == 1 && statistics.updated == 3)
        #expect(statistics.repaired == 0 && statistics.memory > 0 && table.count == 2 && table.capacity == 16)
    }

    @Test func updatesAndInsertions() throws {
        struct Refused: Error {}
        let table = try make()
        #expect(try table.update("a") { $0[visits] += 1 } == nil)
        #expect(table.isEmpty)
        #expect(try table.insert("a", visits.to(1)))
        #expect(try !table.insert("a", visits.to(9)))
        let before = try table.update("a") { row in
            defer { row[visits] *= 10 }
            #expect(!row.isNew)
            return row[visits]
        }
        #expect(before == 1 && table["a", visits] == 10)
        try table.update("b", insert: true) { row in
            #expect(row.isNew && row[visits] == 0 && row[name] == "")
            row[name] = "new"
        }
        #expect(table["b", name] == "new")
        #expect(throws: Refused.self) {
            try table.update("a") { row in
                row[visits] = 0
                throw Refused()
            }
        }
        #expect(table["a", visits] == 10)
    }

    @Test func whatIsRefusedChangesNothing() throws {
        let table = try make(2)
        let other = SharedColumn<Int>("other")
        let mistaken = SharedColumn<Int>("score")
        let keys = ["", String(repeating: "x", count: 64)]
        for key in keys {
            #expect(code { try table.set(key, visits.to(1)) } == .invalidKey)
            #expect(code { try table.increment(key, visits) } == .invalidKey)
            #expect(table[key] == nil && !table.contains(key))
        }
        #expect(code { try table.set("a", visits.to(1), other.to(1)) } == .noColumn)
        #expect(code { try table.set("a", visits.to(1), mistaken.to(1)) } == .noColumn)
        #expect(code { try table.increment("a", mistaken) } == .noColumn)
        #expect(code { try table.set("a", visits.to(1), name.to("elf Zeichen")) } == .valueTooLong)
        #expect(table.isEmpty)
        try table.set("a", visits.to(1))
        #expect(code { try table.set("a", visits.to(2), data.to([1, 2, 3, 4, 5])) } == .valueTooLong)
        #expect(
            code {
                try table.update("a") { row in
                    row[visits] = 2
                    row[name] = "elf Zeichen"
                }
            } == .valueTooLong)
        #expect(table["a", visits] == 1)
        #expect(
            code {
                try table.update("a") { row in
                    row[visits] = 3
                    try table.set("b", visits.to(row[visits]))
                }
            } == .nested)
        try table.set("b", visits.to(2))
        #expect(code { try table.set("c", visits.to(3)) } == .full)
        #expect(table["a", visits] == 1 && table.count == 2)
    }

    @Test func tablesThatCannotBe() {
        #expect(code { _ = try SharedTable(rows: 0, columns: visits) } == .invalid)
        #expect(code { _ = try SharedTable(rows: -1, columns: visits) } == .invalid)
        #expect(code { _ = try SharedTable(rows: 1, columns: visits, SharedColumn<Double>("visits")) } == .invalid)
        #expect(code { _ = try SharedTable(rows: 1, columns: SharedColumn<String>("name", size: 0)) } == .invalid)
        #expect(code { _ = try SharedTable(rows: 1, columns: SharedColumn<String>("name", size: -1)) } == .invalid)
        #expect(code { _ = try SharedTable(rows: 1, columns: SharedColumn<Int>("")) } == .invalid)
    }

    @Test func goingThrough() throws {
        let table = try make(100)
        for index in 0..<100 { try table.set("key \(index)", visits.to(index)) }
        var seen: Set<Int> = []
        for (key, row) in table {
            #expect(key == "key \(row[visits])" && seen.insert(row[visits]).inserted)
            try table.remove(key)
            try table.set("again \(key)", visits.to(-1))
        }
        #expect(seen.count == 100 && table.count == 100)
        #expect(table.allSatisfy { $0.key.hasPrefix("again") })
    }

    @Test func mappedAgain() throws {
        let table = try make()
        try table.set("a", visits.to(7))
        let copy = dup(table.descriptor)
        #expect(code { _ = try SharedTable(descriptor: copy, rows: 16, columns: visits) } == .mismatch)
        #expect(code { _ = try SharedAtomic(descriptor: copy) } == .mismatch)
        let again = try SharedTable(
            descriptor: copy, rows: 16, columns: visits, score, active, fd, name, data)
        try again.increment("a", visits)
        #expect(table["a", visits] == 8)
    }

    @Test func ownTypes() throws {
        let level = SharedColumn<Level>("level")
        let table = try SharedTable(rows: 1, columns: level)
        try table.set("a", level.to(.high))
        #expect(table["a", level] == .high)
    }

    private enum Level: Int, SharedNumber {
        case low
        case high

        init(sharedCell: SharedCell) { self = Level(rawValue: Int(sharedCell: sharedCell)) ?? .low }
        var sharedCell: SharedCell { rawValue.sharedCell }
        static var sharedKind: SharedCell.Kind { .integer }
    }

    @Test func aColumnOfAnotherTableTraps() async {
        await #expect(processExitsWith: .failure) {
            let table = try SharedTable(rows: 1, columns: SharedColumn<Int>("visits"))
            try table.increment("a", SharedColumn<Int>("visits"))
            _ = table["a", SharedColumn<Int>("other")]
        }
    }

    @Test func manyThreads() async throws {
        let table = try make()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<4 {
                group.addTask { for _ in 0..<1000 { try table.update("a", insert: true) { $0[visits] += 1 } } }
            }
            try await group.waitForAll()
        }
        #expect(table["a", visits] == 4000)
    }
}

@Suite struct SharedAtomicTests {
    @Test func operations() throws {
        let atomic = try SharedAtomic(1)
        #expect(atomic.add(2) == 3 && atomic.subtract() == 2 && atomic.add() == 3)
        #expect(atomic.exchange(5) == 3)
        #expect(atomic.compareExchange(expected: 4, desired: 9) == 5 && atomic.load() == 5)
        #expect(atomic.compareExchange(expected: 5, desired: .max) == 5)
        #expect(atomic.add(1) == .min && atomic.subtract(.min) == 0)
        atomic.store(6)
        #expect(try SharedAtomic(descriptor: dup(atomic.descriptor)).load() == 6)
        #expect(throws: SharedMemoryError.self) { try SharedAtomic(descriptor: -1) }
    }

    @Test func waiting() throws {
        let atomic = try SharedAtomic(0)
        #expect(atomic.wait(while: 1))
        #expect(!atomic.wait(while: 0, timeout: .zero))
        #expect(!atomic.wait(while: 0, timeout: .milliseconds(5)))
        #expect(!atomic.wait(while: 0, timeout: .seconds(-5)))
        Thread.detachNewThread {
            atomic.store(1)
            atomic.wake()
        }
        #expect(atomic.wait(while: 0, timeout: .seconds(60)))
        #expect(atomic.wake(0) == 0 && atomic.wake(.max) == 0)
    }
}

@Suite struct SharedLockTests {
    private struct Refused: Error {}

    @Test func results() throws {
        let lock = try SharedLock()
        #expect(lock.withLock { 1 } == 1)
        #expect(lock.withReadLock { 2 } == 2)
        #expect(lock.withLock(timeout: .zero) { 3 } == 3)
        #expect(lock.withReadLock(timeout: .milliseconds(5)) { 4 } == 4)
        #expect(throws: Refused.self) { try lock.withLock { throw Refused() } }
        #expect(throws: Refused.self) { try lock.withReadLock(timeout: .zero) { throw Refused() } }
        #expect(lock.withLock(timeout: .zero) { true } == true)
        #expect(throws: SharedMemoryError.self) { try SharedLock(descriptor: -1) }
    }

    @Test func oneWriterOrManyReaders() throws {
        let lock = try SharedLock()
        let again = try SharedLock(descriptor: dup(lock.descriptor))
        func elsewhere(_ body: @escaping @Sendable () -> Bool?) -> Bool? {
            nonisolated(unsafe) var result: Bool?
            let done = DispatchSemaphore(value: 0)
            Thread.detachNewThread {
                unsafe result = body()
                done.signal()
            }
            done.wait()
            return unsafe result
        }
        lock.withLock {
            #expect(elsewhere { again.withLock(timeout: .zero) { true } } == nil)
            #expect(elsewhere { again.withReadLock(timeout: .milliseconds(5)) { true } } == nil)
        }
        lock.withReadLock {
            #expect(elsewhere { again.withLock(timeout: .milliseconds(5)) { true } } == nil)
            #expect(elsewhere { again.withReadLock { true } } == true)
        }
        #expect(elsewhere { again.withLock { true } } == true)
    }

    @Test func takingItTwiceTraps() async {
        await #expect(processExitsWith: .failure) {
            let lock = try SharedLock()
            lock.withLock { lock.withReadLock {} }
        }
        await #expect(processExitsWith: .failure) {
            let lock = try SharedLock()
            lock.withReadLock { lock.withLock(timeout: .zero) {} }
        }
    }
}
