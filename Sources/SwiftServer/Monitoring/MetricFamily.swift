/// A metric with all of its samples, independent of the format in which it is reported.
struct MetricFamily {
    enum Kind: String {
        /// A number that only grows; its name gets the suffix `_total`.
        case counter
        /// A number that may also fall.
        case gauge
        /// Counts of durations by class.
        case histogram
    }

    enum Value {
        case number(Double)
        case durations(DurationCounts)
    }

    struct Sample {
        /// Names and values; the names are valid, the values any text.
        let labels: [(name: String, value: String)]
        let value: Value
    }

    /// The name without a suffix.
    let name: String
    let kind: Kind
    let help: String
    var samples: [Sample] = []

    init(_ kind: Kind, _ name: String, _ help: String) {
        self.name = "swiftserver_\(name)"
        self.kind = kind
        self.help = help
    }

    /// A metric without labels.
    init(_ kind: Kind, _ name: String, _ help: String, _ value: Double) {
        self.init(kind, name, help)
        add([], value)
    }

    mutating func add(_ labels: [(name: String, value: String)], _ value: Double) {
        samples.append(Sample(labels: labels, value: .number(value)))
    }

    mutating func add(_ labels: [(name: String, value: String)], _ value: UInt64) { add(labels, Double(value)) }

    mutating func add(_ labels: [(name: String, value: String)], _ durations: DurationCounts) {
        samples.append(Sample(labels: labels, value: .durations(durations)))
    }

    /// The name of the samples of a number.
    var sampleName: String { kind == .counter ? "\(name)_total" : name }
}
