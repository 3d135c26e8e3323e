import Foundation
import Testing

@testable import SwiftServer

/// The formats of metrics.
@Suite struct MetricsFormatTests {
    @Test(arguments: [
        ("", MetricsFormat.prometheus), ("*/*", .prometheus), ("text/html", .prometheus),
        ("application/json", .json), ("application/json; charset=utf-8;q=0.5, text/html", .json),
        ("text/plain;version=0.0.4", .prometheus), ("application/json;q=0", .prometheus),
        ("application/json;q=0.1, text/plain;q=0.2", .prometheus),
        // A server of Prometheus
        (
            """
            application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
            text/plain;version=0.0.4;q=0.5,*/*;q=0.1
            """, .openMetrics
        ), ("text/plain;q=0.2, APPLICATION/OpenMetrics-Text; q=0.3", .openMetrics), ("q=1;;,;q=x, ,", .prometheus),
    ])
    func theFormatIsNegotiated(_ accept: String, _ format: MetricsFormat) {
        #expect(MetricsFormat(accept: accept) == format)
    }

    private var families: [MetricFamily] {
        var names = MetricFamily(.counter, "names", "Names with \\, \" and\na new line.")
        for name in ["plain", "", "a\"b", "a\\n", "a\nb", "ä, b=\"c\"}", "\u{1}"] { names.add([("name", name)], 3.0) }
        var durations = MetricFamily(.histogram, "duration_seconds", "Durations.")
        var counts = [UInt64](repeating: 0, count: DurationCounts.limits.count)
        (counts[0], counts[2], counts[counts.count - 1]) = (7, 2, 1)
        durations.add([("process", "worker 0")], DurationCounts(counts: counts, seconds: 9.25))
        return [
            names, durations, MetricFamily(.gauge, "share", "A share.", 0.5),
            MetricFamily(.gauge, "bytes", "A large number.", 9_007_199_254_740_991),
            MetricFamily(.gauge, "none", "None."),
        ]
    }

    @Test(arguments: [false, true]) func textsAreStrictlyValid(_ isOpen: Bool) throws {
        let text = (isOpen ? MetricsFormat.openMetrics : .prometheus).text(families)
        let read = try Exposition(text, openMetrics: isOpen)
        #expect(read.types["swiftserver_names\(isOpen ? "" : "_total")"] == "counter")
        for name in ["plain", "", "a\"b", "a\\n", "a\nb", "ä, b=\"c\"}", "\u{1}"] {
            #expect(try read.value("swiftserver_names_total", ["name": name]) == 3)
        }
        #expect(try read.value("swiftserver_share") == 0.5)
        #expect(text.contains("\nswiftserver_bytes 9007199254740991\n"))
        let labels = ["process": "worker 0"]
        #expect(try read.value("swiftserver_duration_seconds_count", labels) == 10)
        #expect(try read.value("swiftserver_duration_seconds_sum", labels) == 9.25)
        let bucket = "swiftserver_duration_seconds_bucket"
        #expect(try read.value(bucket, ["process": "worker 0", "le": "5e-05"]) == 7)
        #expect(try read.value(bucket, ["process": "worker 0", "le": "0.0001"]) == 9)
        #expect(try read.value(bucket, ["process": "worker 0", "le": "5.0"]) == 9)
        #expect(read.types["swiftserver_none"] == nil)
        if !isOpen { #expect(try Exposition.complaints(about: text) == nil) }
    }

    @Test func objectsOfJSONAreValid() throws {
        let text = MetricsFormat.json.text(families)
        let object = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: [String: Any]]
        let names = try #require(object?["swiftserver_names_total"])
        #expect(names["type"] as? String == "counter")
        #expect(names["help"] as? String == "Names with \\, \" and\na new line.")
        let samples = try #require(names["samples"] as? [[String: Any]])
        let labels = samples.compactMap { ($0["labels"] as? [String: String])?["name"] }
        #expect(labels == ["plain", "", "a\"b", "a\\n", "a\nb", "ä, b=\"c\"}", "\u{1}"])
        let durations = try #require(object?["swiftserver_duration_seconds"]?["samples"] as? [[String: Any]])
        #expect(durations[0]["count"] as? Int == 10 && durations[0]["sum"] as? Double == 9.25)
        #expect((durations[0]["buckets"] as? [[String: Any]])?.count == DurationCounts.limits.count)
    }

    /// Ports on two addresses, and processes with one name: samples must differ.
    @Test func labelsAreDistinct() {
        #expect(Monitor.distinct(["80", "443", "80", "80"]) == ["80", "443", "80 (2)", "80 (3)"])
    }

    @Test func malformedTextsAreRefused() {
        let good = "# HELP a A.\n# TYPE a gauge\na{x=\"1\",y=\"2\"} 1\n"
        #expect((try? Exposition(good)) != nil)
        let bad = [
            "# HELP a A.\n# TYPE a gauge\na 1", good + "a{x=\"1\",y=\"2\"} 2\n", "a 1\n",
            "# HELP a A.\n# TYPE a counter\na 1\n", "# HELP a A.\n# TYPE a gauge\na{x=1} 1\n",
            "# HELP a A.\n# TYPE a gauge\na{x=\"1\",} 1\n", "# HELP a A.\n# TYPE a gauge\nb 1\n",
            "# HELP a A.\n# TYPE a histogram\na_bucket{le=\"1\"} 2\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 1\n",
        ]
        for text in bad { #expect((try? Exposition(text)) == nil, "\(text)") }
    }
}
