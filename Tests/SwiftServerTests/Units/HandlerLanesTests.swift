import Testing

@testable import SwiftServer

/// The order of asynchronous handlers of one connection, and when reading from it pauses.
@MainActor @Suite struct HandlerLanesTests {
    /// A handler that is suspended until it is resumed.
    @MainActor private final class Gate {
        private var continuation: CheckedContinuation<Void, Never>?
        private var isOpen = false

        func wait() async {
            if !isOpen { await withCheckedContinuation { continuation = $0 } }
        }

        func open() {
            isOpen = true
            continuation?.resume()
            continuation = nil
        }
    }

    @MainActor private final class Fixture {
        var log: [String] = []
        var pauses: [Bool] = []
        let runners = HandlerRunners(executor: nil, mostParked: 0)
        private(set) lazy var lanes = HandlerLanes(runners: runners) { [unowned self] _, pause in
            MainActor.assumeIsolated { pauses.append(pause) }
        }

        func run(_ id: ConnectionID, bytes: Int = 0, _ name: String, _ gate: Gate? = nil) {
            lanes.run(id, bytes: bytes) {
                self.log.append("\(name) begins")
                if let gate {
                    await gate.wait()
                    self.log.append("\(name) ends")
                }
            }
        }

        func runRequest(_ request: Request, _ work: @escaping HandlerLanes.Work) {
            guard lanes.admits(request.fd) else { return lanes.run(request.fd, .request, work) }
            lanes.runRequest(HandlerRunners.AsyncHandler { (_, _: Socket) in try await work() }, request, Socket())
        }

        /// Lets resumed handlers run until the condition holds.
        func settle(_ condition: () -> Bool) async {
            for _ in 0..<100_000 {
                if condition() { return }
                await Task.yield()
            }
            Issue.record("the handlers did not get there: \(log)")
        }
    }

    private let one = ConnectionID(rawValue: 1)
    private let two = ConnectionID(rawValue: 2)

    @Test func aHandlerThatDoesNotSuspendRunsAtOnce() {
        let fixture = Fixture()
        fixture.run(one, "a")
        #expect(fixture.log == ["a begins"] && !fixture.lanes.isBusy(one) && fixture.runners.suspended == 0)
    }

    @Test func eventsOfASuspendedConnectionAreQueuedInOrder() async {
        let fixture = Fixture()
        let gate = Gate()
        fixture.run(one, "a", gate)
        #expect(fixture.lanes.isBusy(one) && fixture.runners.suspended == 1)
        fixture.run(one, "b")
        fixture.run(one, "c")
        fixture.run(two, "other")
        #expect(fixture.log == ["a begins", "other begins"])
        gate.open()
        await fixture.settle { !fixture.lanes.isBusy(one) }
        #expect(fixture.log == ["a begins", "other begins", "a ends", "b begins", "c begins"])
        #expect(fixture.runners.suspended == 0 && fixture.pauses.isEmpty)
    }

    @Test func aQueuedHandlerMaySuspendToo() async {
        let fixture = Fixture()
        let gates = [Gate(), Gate()]
        fixture.run(one, "a", gates[0])
        fixture.run(one, "b", gates[1])
        fixture.run(one, "c")
        gates[0].open()
        await fixture.settle { fixture.log.contains("b begins") }
        #expect(fixture.lanes.isBusy(one) && !fixture.log.contains("c begins"))
        gates[1].open()
        await fixture.settle { !fixture.lanes.isBusy(one) }
        #expect(fixture.log.suffix(2) == ["b ends", "c begins"])
    }

    @Test func aLongQueuePausesReadingUntilMostIsServed() async {
        let fixture = Fixture()
        let gates = (0...HandlerLanes.pauseAt).map { _ in Gate() }
        for (index, gate) in gates.enumerated().dropLast() { fixture.run(one, "\(index)", gate) }
        #expect(fixture.pauses.isEmpty)
        fixture.run(one, "last", gates.last)
        #expect(fixture.pauses == [true])
        // The first is suspended and 64 are queued; reading resumes when 16 are left.
        for index in 0..<(HandlerLanes.pauseAt - HandlerLanes.pauseAt / 4 - 1) { gates[index].open() }
        await fixture.settle { fixture.log.contains("47 begins") }
        #expect(fixture.pauses == [true])
        gates[47].open()
        await fixture.settle { fixture.log.contains("48 begins") }
        #expect(fixture.pauses == [true, false])
        for gate in gates { gate.open() }
        await fixture.settle { !fixture.lanes.isBusy(one) }
        #expect(fixture.pauses == [true, false] && fixture.log.last == "last ends")
    }

    @Test func manyQueuedBytesPauseReading() async {
        let fixture = Fixture()
        let gate = Gate()
        fixture.run(one, "a", gate)
        fixture.run(one, bytes: HandlerLanes.pauseAtBytes - 1, "b")
        #expect(fixture.pauses.isEmpty)
        fixture.run(one, bytes: 1, "c")
        #expect(fixture.pauses == [true])
        gate.open()
        await fixture.settle { !fixture.lanes.isBusy(one) }
        #expect(fixture.pauses == [true, false])
    }

    @Test func requestsOverlapUpToALimit() async throws {
        let fixture = Fixture()
        let request = try RequestTests.request("GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
        let one = request.fd
        let gates = (0...HandlerLanes.overlapping).map { _ in Gate() }
        for (index, gate) in gates.enumerated() {
            fixture.runRequest(request) {
                fixture.log.append("\(index)")
                await gate.wait()
            }
        }
        #expect(fixture.runners.suspended == HandlerLanes.overlapping + 1 && fixture.lanes.isBusy(one))
        fixture.runRequest(request) { fixture.log.append("queued") }
        #expect(!fixture.log.contains("queued"))
        gates.last?.open()
        await fixture.settle { fixture.log.contains("queued") }
        for gate in gates { gate.open() }
        await fixture.settle { fixture.runners.suspended == 0 }
    }

    @Test func tasksAreUsedAgainUnlessTheyWereCancelled() async {
        let runners = HandlerRunners(executor: nil, mostParked: 1)
        var tasks: [Int] = []
        var cancelled: [Bool] = []
        func run(_ end: @escaping @MainActor () throws -> Void = {}) async {
            let count = tasks.count
            runners.start {
                tasks.append(unsafe withUnsafeCurrentTask { unsafe $0.hashValue })
                cancelled.append(Task.isCancelled)
                try end()
            }
            while tasks.count == count || runners.suspended > 0 { await Task.yield() }
        }
        await run()
        await run { throw CancellationError() }
        await run { unsafe withUnsafeCurrentTask { unsafe $0?.cancel() } }
        await run()
        #expect(tasks[0] == tasks[1] && tasks[1] == tasks[2], "of handlers that ended, or failed")
        #expect(cancelled == [false, false, false, false])
    }

    /// The cancellation waits for the task, and ends with the handler.
    @Test func handlersMayBeCancelledBeforeTheySuspend() async {
        let runners = HandlerRunners(executor: nil, mostParked: 1)
        var errors: [any Error] = []
        let cancelled = runners.take()
        runners.start(on: cancelled) {
            #expect(!cancelled.cancel())
            do { try await Task.sleep(for: .seconds(600)) } catch { errors.append(error) }
        }
        for _ in 0..<100_000 where errors.isEmpty { await Task.yield() }
        #expect(errors.first is CancellationError)
        let ended = HandlerRunners.Runner()
        #expect(runners.start(on: ended) { _ = ended.cancel() } == nil)
        var isCancelled: Bool?
        runners.start(on: ended) { isCancelled = Task.isCancelled }
        for _ in 0..<100_000 where isCancelled == nil { await Task.yield() }
        #expect(isCancelled == false)
    }

    /// Only a handler's own task may wait in the cheapest way: nobody would notice the cancellation of another one.
    @Test func aHandlerIsCurrentInItsOwnTask() async {
        let runners = HandlerRunners(executor: nil, mostParked: 1)
        let runner = runners.take()
        var found: [Bool] = [runner.isCurrent]
        for _ in 0..<2 {
            runners.start(on: runner) {
                found.append(runner.isCurrent)
                await Task.yield()
                found.append(runner.isCurrent)
                await Task { found.append(runner.isCurrent) }.value
                await Task.immediate { found.append(runner.isCurrent) }.value
                found.append(runner.isCurrent)
            }
            while runners.suspended > 0 { await Task.yield() }
            #expect(found == [false, true, true, false, false, true])
            found = [runner.isCurrent]
            #expect(runners.take() === runner)
        }
        runners.start(on: runner) {
            found.append(runner.isCancelled)
            unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
            found.append(runner.isCancelled)
        }
        for _ in 0..<100_000 where found.count < 3 { await Task.yield() }
        #expect(found == [false, false, true])
    }

    private final class Socket: Sendable {}

    private typealias Function = HandlerRunners.AsyncHandler

    /// The task of a handler of requests asks for the next one when that has returned, unless it was suspended or has
    /// thrown an error. Ends are reported in order, each before the next request is asked for.
    @Test func tasksOfRequestsGoOn() async throws {
        var log: [String] = []
        let request = try RequestTests.request("GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
        func function(_ body: @escaping @MainActor () async throws -> Void) -> Function {
            Function { (_, _: Socket) in try await body() }
        }
        func run(_ functions: [Function], hasAnswered: Bool = true, until end: String) async {
            let runners = HandlerRunners(executor: nil)
            var further = functions.dropFirst()
            log = []
            runners.whenServed =
                PlainHandlers.Served { _, _, error in
                    log.append(error == nil ? "ended" : "failed")
                    return hasAnswered
                }.plain
            runners.nextToServe = { _, runner in
                log.append("asked")
                if let next = further.popFirst() { Uncounted(runner).give(next, request, Socket()) }
            }
            runners.start(functions[0], request, Socket())
            for _ in 0..<100_000 where !log.contains(end) || runners.suspended > 0 { await Task.yield() }
        }
        let first = function { log.append("first") }
        let never = function { log.append("never") }
        let suspended = function {
            await Task.yield()
            log.append("suspended")
        }
        // Each task is given requests with the same handler as the one before, and with others.
        let plain = Function.PlainMiddleware { _, _, rest in log.append(rest == 7 ? "middleware" : "wrong") }
        let middleware = Function(plain, 7, as: 7)
        await run([first, first, first, middleware, middleware, first, suspended, never], until: "suspended")
        let names = ["first", "first", "first", "middleware", "middleware", "first"]
        #expect(log == names.flatMap { [$0, "ended", "asked"] } + ["suspended", "ended"])
        for second in [[first, first], [first], []] {
            await run([first] + second + [function { throw WebSocketError.closed }, never], until: "failed")
            let served = Array(repeating: ["first", "ended", "asked"], count: second.count + 1)
            #expect(log == served.joined() + ["failed"])
        }
        await run([first], until: "asked")
        #expect(log == ["first", "ended", "asked"])
        await run([first, never], hasAnswered: false, until: "ended")
        #expect(log == ["first", "ended"])
    }

    private final class Kept { weak var socket: Socket? }

    /// The end of a handler of requests is reported once, with its error, and nothing keeps its object.
    @Test func endsOfHandlersOfRequestsAreReported() async throws {
        let runners = HandlerRunners(executor: nil, mostParked: 1)
        var ends: [String] = []
        runners.whenServed =
            PlainHandlers.Served { socket, runner, error in
                #expect(runner.request?.path == "/a")
                ends.append("\(type(of: socket)) \(error.map { "\($0)" } ?? "ended")")
                return true
            }.plain
        runners.whenFailed = { event, _, error in ends.append("\(event) \(error)") }
        let request = try RequestTests.request("GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
        func run(_ body: @escaping @MainActor (Request, Socket) async throws -> Void) async -> Bool {
            let (count, kept, socket) = (ends.count, Kept(), Socket())
            kept.socket = socket
            runners.start(Function(body), request, socket)
            for _ in 0..<100_000 where ends.count == count || runners.suspended > 0 { await Task.yield() }
            _ = consume socket
            return kept.socket != nil
        }
        var path = ""
        var isKept = [await run { request, _ in path = request.path }]
        isKept.append(await run { _, _ in throw WebSocketError.moved })
        isKept.append(await run { _, _ in await Task.yield() })
        isKept.append(
            await run { _, _ in
                await Task.yield()
                throw WebSocketError.closed
            })
        #expect(path == "/a" && isKept == [false, false, false, false])
        runners.start { throw WebSocketError.answered }
        for _ in 0..<100_000 where ends.count < 5 { await Task.yield() }
        let (moved, closed, answered) = (WebSocketError.moved, WebSocketError.closed, WebSocketError.answered)
        #expect(ends == ["Socket ended", "Socket \(moved)", "Socket ended", "Socket \(closed)", "task \(answered)"])
    }

    @TaskLocal private static var user = "nobody"

    /// A task that a handler of one client has begun serves others later. One inside of another task has its values.
    @Test func tasksHaveNoTaskLocalValuesOfTheirStarter() async {
        let runners = HandlerRunners(executor: nil, mostParked: 1)
        var users: [String] = []
        func run(on runner: HandlerRunners.Runner? = nil) async {
            let count = users.count
            runners.start(on: runner) { users.append(HandlerLanesTests.user) }
            while users.count == count || runners.suspended > 0 { await Task.yield() }
        }
        await HandlerLanesTests.$user.withValue("ann") { await run(on: HandlerRunners.Runner(isReused: false)) }
        await HandlerLanesTests.$user.withValue("bob") { await run() }
        await run()
        #expect(users == ["ann", "nobody", "nobody"])
    }

    @Test func readingResumesWhenAllHaveResumedIt() {
        var calls: [Bool] = []
        let pauses = ReadPauses { _, pause in calls.append(pause) }
        pauses.pause(one, true)
        pauses.pause(one, true)
        pauses.pause(one, false)
        #expect(calls == [true])
        pauses.pause(one, false)
        #expect(calls == [true, false])
        pauses.pause(one, true)
        #expect(calls == [true, false, true])
    }
}
