import CReactor
import CReactorInternal
import Glibc
import SwiftServer
import TestProtocol

/// Asynchronous handlers.
@MainActor enum AsyncScenario {
    private static var held: [CheckedContinuation<Void, Never>] = []

    static func register(_ server: WebSocketServer) {
        server.onOpen { server, request in
            await Task.yield()
            welcome(request.fd, server)
        }
        server.onClose { server, fd, reason in
            await server.sleep(for: .milliseconds(1))
            Event.close(fd, reason.code, reason.cause, reason.text).report()
            Event.closeThread(isMain: Commands.isMainThread).report()
        }
        server.onMessage { server, frame in
            guard let command = command(frame) else {
                server.push(frame, to: frame.fd)
                return
            }
            if let answer = await run(command, server) { server.answer(answer, to: frame.fd) }
        }
        server.onRequest { request, response in response.end(await page(request, server)) }
    }

    private static func page(_ request: Request, _ server: WebSocketServer) async -> String {
        switch Page(request) {
        case .name(let name, let delay):
            if delay > .zero { await server.sleep(for: delay) }
            return name
        case .hold(let delay):
            await withCheckedContinuation { held.append($0) }
            if delay > .zero { await server.sleep(for: delay) }
            return "hold"
        case .release:
            release()
            return "release"
        default: return request.path
        }
    }

    @discardableResult private static func release() -> Int {
        let waiting = held
        held = []
        for continuation in waiting { continuation.resume() }
        return waiting.count
    }

    private static func run(_ command: Command, _ server: WebSocketServer) async -> (any Encodable & Sendable)? {
        switch command {
        case .sleep(let time):
            await server.sleep(for: time)
            return true
        case .hold:
            await withCheckedContinuation { held.append($0) }
            return true
        case .release: return release()
        case .pick(let text, _): return text
        case .hop(let way):
            let before = Commands.isMainThread
            await suspend(way, server)
            return Threads(onMain: [before, Commands.isMainThread], count: Int(cre_process_threads()))
        default: return Commands.common(command, server)
        }
    }

    private static func suspend(_ way: Command.Way, _ server: WebSocketServer) async {
        switch way {
        case .yield: for _ in 0..<10 { await Task.yield() }
        case .sleep: await server.sleep(for: .milliseconds(5))
        case .asyncLet:
            async let first = double(3)
            async let second = double(4)
            let sum = await first + second
            precondition(sum == 14)
        case .group:
            let sum = await withTaskGroup(of: Int.self) { group in
                for index in 0..<4 { group.addTask { await Scenery.double(index) } }
                var sum = 0
                for await value in group { sum += value }
                return sum
            }
            precondition(sum == 12)
        case .actor:
            let counter = Counter()
            for _ in 0..<10 { _ = await counter.next() }
        case .continuation:
            await withCheckedContinuation { continuation in
                Task { continuation.resume() }
            }
        case .nested: await Task { await server.sleep(for: .milliseconds(1)) }.value
        }
    }

    private static func double(_ value: Int) async -> Int {
        await Task.yield()
        return value * 2
    }
}

/// Functions and actors that belong to no actor, or to their own.
enum Scenery {
    @concurrent static func double(_ value: Int) async -> Int {
        await Task.yield()
        return value * 2
    }
}

actor Counter {
    private var value = 0
    func next() async -> Int {
        await Task.yield()
        value += 1
        return value
    }
}
