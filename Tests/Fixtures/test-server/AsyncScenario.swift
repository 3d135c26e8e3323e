import CReactor
import CReactorInternal
import Glibc
import SwiftServer

/// Asynchronous handlers. A message "WAY TEXT" has its handler suspend in that way before it answers.
@MainActor enum AsyncScenario {
    private static var held: [CheckedContinuation<Void, Never>] = []

    static func register(_ server: WebSocketServer) {
        server.onOpen { server, request in
            await Task.yield()
            server.push("welcome \(request.fd)", to: request.fd)
        }
        server.onClose { server, fd, reason in
            await server.sleep(for: .milliseconds(1))
            print("close \(fd) \(reason.code) [\(reason.cause)] \(reason.text) \(Commands.isMainThread)")
        }
        server.onMessage { server, frame in await receive(frame, server) }
        server.onRequest { request, response in
            switch request.path {
            case "/hold": await withCheckedContinuation { held.append($0) }
            case "/release": release()
            default: break
            }
            if let delay = request.query["ms"].flatMap({ Int($0) }) { await server.sleep(for: .milliseconds(delay)) }
            response.end("async \(request.path)")
        }
    }

    @discardableResult private static func release() -> Int {
        let waiting = held
        held = []
        for continuation in waiting { continuation.resume() }
        return waiting.count
    }

    private static func receive(_ frame: Frame, _ server: WebSocketServer) async {
        let words = frame.text.split(separator: " ", maxSplits: 1).map(String.init)
        let rest = words.count > 1 ? words[1] : ""
        switch words.first ?? "" {
        case "sleep":
            await server.sleep(for: .milliseconds(Int(rest) ?? 0))
            server.push("slept \(rest)", to: frame.fd)
        case "hold":
            await withCheckedContinuation { held.append($0) }
            server.push("released", to: frame.fd)
        case "release":
            server.push("\(release()) released", to: frame.fd)
        case "first": server.push(String(rest.prefix { $0 != " " }), to: frame.fd)
        case "crash": fatalError("on purpose")
        case "hop":
            let before = Commands.isMainThread
            await suspend(rest, server)
            server.push("\(rest) \(before) \(Commands.isMainThread) \(cre_process_threads())", to: frame.fd)
        default: server.push(frame, to: frame.fd)
        }
    }

    private static func suspend(_ way: String, _ server: WebSocketServer) async {
        switch way {
        case "yield": for _ in 0..<10 { await Task.yield() }
        case "sleep": await server.sleep(for: .milliseconds(5))
        case "asyncLet":
            async let first = double(3)
            async let second = double(4)
            let sum = await first + second
            precondition(sum == 14)
        case "group":
            let sum = await withTaskGroup(of: Int.self) { group in
                for index in 0..<4 { group.addTask { await Scenery.double(index) } }
                var sum = 0
                for await value in group { sum += value }
                return sum
            }
            precondition(sum == 12)
        case "actor":
            let counter = Counter()
            for _ in 0..<10 { _ = await counter.next() }
        case "continuation":
            await withCheckedContinuation { continuation in
                Task { continuation.resume() }
            }
        case "nested":
            await Task { await server.sleep(for: .milliseconds(1)) }.value
        default: print("no way \(way)")
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
