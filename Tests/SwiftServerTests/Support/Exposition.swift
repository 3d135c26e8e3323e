import Foundation
import Testing

/// A text in the format of Prometheus, read strictly: what a lenient scraper accepts, but the format does not allow, is
/// an error.
struct Exposition {
    struct Malformed: Error, CustomStringConvertible {
        let description: String
    }

    struct Sample {
        let name: String
        let labels: [String: String]
        let value: Double
    }

    private(set) var types: [String: String] = [:]
    private(set) var samples: [Sample] = []
    /// The names and labels of the samples so far.
    private var series: Set<String> = []

    /// Reads version 0.0.4 of the text format, or OpenMetrics 1.0.
    init(_ text: String, openMetrics: Bool = false) throws {
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard lines.popLast() == "" else { throw Malformed(description: "the last line is not terminated") }
        if openMetrics { guard lines.popLast() == "# EOF" else { throw Malformed(description: "no # EOF") } }
        var family = ""
        for line in lines {
            let words = line.split(separator: " ", maxSplits: 3, omittingEmptySubsequences: false).map(String.init)
            if line.hasPrefix("# HELP ") {
                guard words.count == 4, types[words[2]] == nil else { throw Malformed(description: "\(line)") }
                family = words[2]
            } else if line.hasPrefix("# TYPE ") {
                let isKnown = ["counter", "gauge", "histogram"].contains(words.last ?? "")
                guard words.count == 4, isKnown, words[2] == family, types[family] == nil else {
                    throw Malformed(description: "\(line)")
                }
                types[family] = words[3]
                let isNamed = family.hasSuffix("_total") == (words[3] == "counter" && !openMetrics)
                guard isNamed else { throw Malformed(description: "the name of \(line)") }
            } else {
                try add(line, family, openMetrics)
            }
        }
        try checkHistograms()
    }

    private mutating func add(_ line: Substring, _ family: String, _ isOpen: Bool) throws {
        let pattern = /([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? ([^ ]+)/
        guard let match = line.wholeMatch(of: pattern), let value = Double(match.3) else {
            throw Malformed(description: "\(line)")
        }
        let name = String(match.1)
        let suffixes =
            switch types[family] {
            case "histogram": ["_bucket", "_sum", "_count"]
            case "counter": [isOpen ? "_total" : ""]
            case "gauge": [""]
            default: [String]()
            }
        guard suffixes.contains(where: { family + $0 == name }) else {
            throw Malformed(description: "\(name) among the samples of \(family)")
        }
        let labels = try Exposition.labels(match.2 ?? "")
        guard series.insert(Exposition.key(name, labels)).inserted else {
            throw Malformed(description: "a second sample of \(line)")
        }
        samples.append(Sample(name: name, labels: labels, value: value))
    }

    private static func key(_ name: String, _ labels: [String: String]) -> String {
        "\(name) \(labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" })"
    }

    private static func labels(_ text: Substring) throws -> [String: String] {
        var labels: [String: String] = [:]
        var rest = text
        while let match = rest.prefixMatch(of: /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(,|$)/) {
            let name = String(match.1)
            guard labels[name] == nil else { throw Malformed(description: "two labels \(name)") }
            labels[name] = String(match.2).replacing(/\\(.)/) { $0.1 == "n" ? "\n" : String($0.1) }
            rest = rest[match.range.upperBound...]
            if match.3.isEmpty { break }
        }
        guard rest.isEmpty, text.last != "," else { throw Malformed(description: "the labels \(text)") }
        return labels
    }

    private func checkHistograms() throws {
        for (family, type) in types where type == "histogram" {
            var buckets: [String: [(limit: Double, count: Double)]] = [:]
            for sample in samples where sample.name == family + "_bucket" {
                var labels = sample.labels
                guard let limit = labels.removeValue(forKey: "le").flatMap(Double.init) else {
                    throw Malformed(description: "a bucket of \(family) without a limit")
                }
                buckets[Exposition.key("", labels), default: []].append((limit, sample.value))
            }
            for sample in samples where sample.name == family + "_count" {
                let own = buckets[Exposition.key("", sample.labels)] ?? []
                let ascends = zip(own, own.dropFirst()).allSatisfy { $0.limit < $1.limit && $0.count <= $1.count }
                guard ascends, own.last?.limit == .infinity, own.last?.count == sample.value else {
                    throw Malformed(description: "the buckets of \(family) \(sample.labels)")
                }
            }
        }
    }

    /// The value of the sample with this name and these labels.
    func value(_ name: String, _ labels: [String: String] = [:]) throws -> Double {
        try #require(samples.first { $0.name == name && $0.labels == labels }, "\(name) \(labels)").value
    }

    /// The sum of all samples with this name that have these labels.
    func sum(_ name: String, _ labels: [String: String] = [:]) -> Double {
        samples.filter { $0.name == name && $0.labels.merging(labels) { $1 } == $0.labels }.reduce(0) { $0 + $1.value }
    }

    /// Has Prometheus's own tool check a text, if there is one in PATH. It comes with Debian's package `prometheus`,
    /// which is not installed for the tests: it starts a server that runs from then on. Returns what the tool complains
    /// of.
    static func complaints(about text: String) throws -> String? {
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        let paths = folders.map { "\($0)/promtool" }
        guard let path = paths.first(where: FileManager.default.isExecutableFile) else { return nil }
        let folder = try Folder()
        try Data(text.utf8).write(to: URL(fileURLWithPath: folder.file("metrics")))
        let tool = Process()
        tool.executableURL = URL(fileURLWithPath: path)
        tool.arguments = ["check", "metrics"]
        tool.standardInput = try FileHandle(forReadingFrom: URL(fileURLWithPath: folder.file("metrics")))
        let output = Pipe()
        tool.standardError = output
        tool.standardOutput = output
        try tool.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        tool.waitUntilExit()
        return tool.terminationStatus == 0 ? nil : "\(text)"
    }
}
