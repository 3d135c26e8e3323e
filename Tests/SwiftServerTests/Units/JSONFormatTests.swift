import FoundationEssentials
import SwiftServerJSON
import Testing

@Suite struct JSONFormatTests {
    private struct Person: Codable, Equatable {
        var firstName: String
        var born: Date
    }

    private let person = Person(firstName: "A/B", born: Date(timeIntervalSince1970: 1.0 * 86_400))

    @Test func formatsReadWhatTheyWrite() throws {
        for (format, text) in [
            (JSONFormat(sortsKeys: true), #"{"born":"1970-01-02T00:00:00Z","firstName":"A/B"}"#),
            (
                JSONFormat(dates: .secondsSince1970, keys: .snakeCase, sortsKeys: true),
                #"{"born":86400,"first_name":"A/B"}"#
            ),
            (
                JSONFormat(dates: .millisecondsSince1970, sortsKeys: true), #"{"born":86400000,"firstName":"A/B"}"#
            ),
        ] {
            let bytes = try format.encode(person)
            #expect(String(decoding: bytes, as: UTF8.self) == text)
            #expect(try format.decode(Person.self, from: bytes) == person)
        }
    }

    @Test func fragmentsAreValues() throws {
        #expect(try JSONFormat.standard.decode(Int.self, from: [UInt8]("7".utf8)) == 7)
        #expect(try JSONFormat.standard.encode("a") == [UInt8]("\"a\"".utf8))
    }

    @Test func errorsNameThePlaceAndHideTypes() {
        struct Shop: Decodable {
            struct Item: Decodable { let price: Int }
            let items: [Item]
            let open: Bool?
        }
        for (text, path, cause) in [
            (#"{"items":[{"price":1},{"price":"1"}]}"#, "items[1].price", "an integer is expected"),
            (#"{"items":[{}]}"#, "items[0].price", "the value is missing"),
            (#"{"items":null}"#, "items", "an array is expected, got null"),
            (#"{"items":{}}"#, "items", "an array is expected"),
            (#"{"items":[],"open":1}"#, "open", "true or false is expected"),
            (#"[]"#, "", "an object is expected"),
            (#"{"items":["#, "", nil),
            ("\u{0}", "", nil),
        ] as [(String, String, String?)] {
            let error = #expect(throws: JSONDecodingError.self, "\(text)") {
                _ = try JSONFormat.standard.decode(Shop.self, from: [UInt8](text.utf8))
            }
            #expect(error?.path == path, "\(text)")
            if let cause { #expect(error?.cause == cause, "\(text)") }
            #expect(error?.message.contains("Shop") == false && error?.message.contains("Item") == false)
            #expect(error?.message.contains("\n") == false)
            #expect(error?.status == 400 && error?.closeCode == 1007)
        }
    }

    @Test func whatIsNotJSONIsNoCrash() {
        let deep = [UInt8](repeating: UInt8(ascii: "["), count: 100_000)
        for input in [deep, [0xFF, 0xFE], [0x22, 0xFF, 0x22], []] {
            #expect(throws: JSONDecodingError.self) { _ = try JSONFormat.standard.decode([String].self, from: input) }
        }
    }

    @Test func valuesThatJSONCannotExpress() {
        let error = #expect(throws: JSONEncodingError.self) { _ = try JSONFormat.standard.encode(["a": Double.nan]) }
        #expect(error?.description == "cannot encode Dictionary<String, Double> as JSON: nan at \"a\"")
    }
}
