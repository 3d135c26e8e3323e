/// What clients of the scenario `json` send.
package struct Order: Codable, Sendable {
    package let itemName: String
    package let prices: [Int]

    package init(_ itemName: String, _ prices: [Int]) {
        self.itemName = itemName
        self.prices = prices
    }
}

/// What they get.
package struct Receipt: Codable, Sendable, Equatable {
    package let total: Int

    package init(total: Int) { self.total = total }
}
