// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation

import Synchronization

public protocol CounterHandler: AnyObject, Sendable {
    func increment(by amount: Int64)
    func reset()
}

public protocol MeterHandler: AnyObject, Sendable {
    func set(_ value: Int64)
    func set(_ value: Double)
    func increment(by amount: Double)
    func decrement(by amount: Double)
}

public protocol RecorderHandler: AnyObject, Sendable {
    func record(_ value: Int64)
    func record(_ value: Double)
}

public protocol TimerHandler: AnyObject, Sendable {
    func recordNanoseconds(_ duration: Int64)
}

public protocol MetricsFactory: Sendable {
    func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler
    func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler
    func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler
    func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler
    func destroyCounter(_ handler: any CounterHandler)
    func destroyMeter(_ handler: any MeterHandler)
    func destroyRecorder(_ handler: any RecorderHandler)
    func destroyTimer(_ handler: any TimerHandler)
}

public final class Counter: Sendable {
    private let handler: any CounterHandler

    public init(label: String, dimensions: [(String, String)] = [], factory: any MetricsFactory) {
        handler = factory.makeCounter(label: label, dimensions: dimensions)
    }

    public func increment(by amount: some BinaryInteger) { handler.increment(by: Int64(amount)) }
}

public final class Meter: Sendable {
    private let handler: any MeterHandler

    public init(label: String, dimensions: [(String, String)] = [], factory: any MetricsFactory) {
        handler = factory.makeMeter(label: label, dimensions: dimensions)
    }

    public func set(_ value: some BinaryFloatingPoint) { handler.set(Double(value)) }
}

/// The factory of the process.
public enum MetricsSystem {
    private static let current = Mutex<any MetricsFactory>(NoMetrics())

    public static var factory: any MetricsFactory { current.withLock { $0 } }

    public static func bootstrap(_ factory: any MetricsFactory) { current.withLock { $0 = factory } }
}

private final class NoMetrics: MetricsFactory, CounterHandler, MeterHandler, RecorderHandler, TimerHandler {
    func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler { self }
    func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler { self }
    func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler { self }
    func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler { self }
    func destroyCounter(_ handler: any CounterHandler) {}
    func destroyMeter(_ handler: any MeterHandler) {}
    func destroyRecorder(_ handler: any RecorderHandler) {}
    func destroyTimer(_ handler: any TimerHandler) {}
    func increment(by amount: Int64) {}
    func increment(by amount: Double) {}
    func decrement(by amount: Double) {}
    func reset() {}
    func set(_ value: Int64) {}
    func set(_ value: Double) {}
    func record(_ value: Int64) {}
    func record(_ value: Double) {}
    func recordNanoseconds(_ duration: Int64) {}
}
