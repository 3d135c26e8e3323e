internal import Synchronization

/// The shared memory that this program has made before the start, in order. A new program that replaces a worker makes
/// the same objects in the same order, and attaches to the existing ones instead.
enum SharedInheritance {
    /// The descriptors in order; -1 for an object that was released.
    private static let made = Mutex<[Int32]>([])

    /// The descriptors, for a new program.
    static var descriptors: [Int32] { made.withLock { $0 } }

    /// Returns the existing descriptor for the next object, `nil` when it has to be created.
    static func next() throws(SharedMemoryError) -> Int32? {
        guard let inherited = Handover.received?.shared, !RunningServer.exists else { return nil }
        let place = made.withLock { $0.count }
        guard place < inherited.count else {
            throw SharedMemoryError(
                code: .mismatch,
                message: "the new program makes more shared memory than the server that is running has")
        }
        return inherited[place] >= 0 ? inherited[place] : nil
    }

    static func note(_ descriptor: Int32) {
        guard !RunningServer.exists else { return }
        made.withLock { $0.append(descriptor) }
    }

    static func forget(_ descriptor: Int32) {
        made.withLock { made in
            if let place = made.lastIndex(of: descriptor) { made[place] = -1 }
        }
    }
}
