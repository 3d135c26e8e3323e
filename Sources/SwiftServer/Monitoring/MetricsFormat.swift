/// The formats of metrics.
enum MetricsFormat: CaseIterable {
    /// The text format of Prometheus, version 0.0.4.
    case prometheus
    /// OpenMetrics 1.0.0.
    case openMetrics
    case json

    var type: String {
        switch self {
        case .prometheus: "text/plain; version=0.0.4; charset=utf-8"
        case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
        case .json: "application/json"
        }
    }

    /// The format that a request asks for: by `?format=json`, or the one that it prefers by `Accept`.
    init(_ request: Request) {
        if request.query["format"] == "json" {
            self = .json
        } else {
            self.init(accept: request.header["accept"] ?? "")
        }
    }

    /// The format with the largest weight in the value of an `Accept` field, the first one of several; Prometheus's own
    /// when it names none of them.
    init(accept: String) {
        var best = (format: MetricsFormat.prometheus, weight: 0.0)
        for element in accept.lowercased().split(separator: ",") {
            let parts = element.split(separator: ";").map { $0.drop { $0 == " " }.prefix { $0 != " " } }
            var weight = 1.0
            for parameter in parts.dropFirst() where parameter.hasPrefix("q=") {
                weight = Double(parameter.dropFirst(2)) ?? 0
            }
            let format: MetricsFormat? =
                switch parts.first {
                case "text/plain", "text/*", "*/*": .prometheus
                case "application/openmetrics-text": .openMetrics
                case "application/json": .json
                default: nil
                }
            if let format, weight > best.weight { best = (format, weight) }
        }
        self = best.format
    }

    func text(_ families: [MetricFamily]) -> String {
        switch self {
        case .prometheus: MetricsFormat.lines(families, isOpen: false)
        case .openMetrics: MetricsFormat.lines(families, isOpen: true) + "# EOF\n"
        case .json: MetricsFormat.json(families)
        }
    }

    // MARK: Lines

    /// In OpenMetrics a counter is described by its name without the suffix.
    private static func lines(_ families: [MetricFamily], isOpen: Bool) -> String {
        var text = ""
        for family in families where !family.samples.isEmpty {
            let name = isOpen ? family.name : family.sampleName
            text += "# HELP \(name) \(escaped(family.help, quotes: isOpen))\n# TYPE \(name) \(family.kind.rawValue)\n"
            for sample in family.samples {
                switch sample.value {
                case .number(let value):
                    text += "\(family.sampleName)\(labels(sample.labels)) \(number(value))\n"
                case .durations(let durations): add(durations, family.name, sample.labels, to: &text)
                }
            }
        }
        return text
    }

    private static func add(
        _ durations: DurationCounts, _ name: String, _ own: [(name: String, value: String)], to text: inout String
    ) {
        var count: UInt64 = 0
        for (limit, more) in zip(DurationCounts.limits, durations.counts) {
            count &+= more
            let limit = limit.isInfinite ? "+Inf" : "\(limit)"
            text += "\(name)_bucket\(labels(own + [("le", limit)])) \(count)\n"
        }
        text += "\(name)_sum\(labels(own)) \(number(durations.seconds))\n\(name)_count\(labels(own)) \(count)\n"
    }

    private static func labels(_ labels: [(name: String, value: String)]) -> String {
        if labels.isEmpty { return "" }
        let list = labels.map { "\($0.name)=\"\(escaped($0.value, quotes: true))\"" }
        return "{\(list.joined(separator: ","))}"
    }

    private static func escaped(_ text: String, quotes: Bool) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\"" where quotes: result += "\\\""
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// A whole number has no fraction.
    private static func number(_ value: Double) -> String { Int(exactly: value).map { "\($0)" } ?? "\(value)" }

    // MARK: JSON

    /// An object with a member for each metric: `type`, `help`, and `samples` with `labels` and `value`, or for
    /// durations `buckets`, `sum` and `count`.
    private static func json(_ families: [MetricFamily]) -> String {
        let members = families.filter { !$0.samples.isEmpty }.map { family in
            let samples = family.samples.map { sample in
                let labels = sample.labels.map { "\(JSONString.quoted($0.name)):\(JSONString.quoted($0.value))" }
                    .joined(
                        separator: ",")
                return "{\"labels\":{\(labels)},\(json(sample.value))}"
            }
            return """
                \(JSONString.quoted(family.sampleName)):{"type":"\(family.kind.rawValue)","help":\(JSONString.quoted(family.help)),\
                "samples":[\(samples.joined(separator: ","))]}
                """
        }
        return "{\(members.joined(separator: ",\n"))}\n"
    }

    private static func json(_ value: MetricFamily.Value) -> String {
        switch value {
        case .number(let value): return "\"value\":\(number(value))"
        case .durations(let durations):
            var count: UInt64 = 0
            let buckets = zip(DurationCounts.limits, durations.counts).map { limit, more in
                count &+= more
                return "{\"le\":\(limit.isInfinite ? "\"+Inf\"" : "\(limit)"),\"count\":\(count)}"
            }
            return """
                "buckets":[\(buckets.joined(separator: ","))],"sum":\(number(durations.seconds)),"count":\(count)
                """
        }
    }
}
