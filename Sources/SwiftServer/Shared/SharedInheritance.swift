internal import Synchronization

/// The shared memory that this program made before the start, in the order in which it did: a new program that takes the
/// place of a worker makes the same in the same order, and gets what is there instead.
enum SharedInheritance {
    /// Of those that are gone again, -1.
    private static let made = Mutex<[Int32]>([])

    /// The descriptors, for a new program.
    static var descriptors: [Int32] { made.withLock { $0 } }

    /// What is there for the object that is about to be made; `nil`: make it.
    static func next() throws(SharedMemoryError) -> Int32? {
        guard let inherited = Handover.received?.shared, !Master.isInUse else { return nil }
        let place = made.withLock { $0.count }
        guard place < inherited.count else {
            throw SharedMemoryError(
                code: .mismatch,
                message: "the new program makes more shared memory than the server that is running has")
        }
        return inherited[place] >= 0 ? inherited[place] : nil
    }

    static func note(_ descriptor: Int32) {
        guard !Master.isInUse else { return }
        made.withLock { $0.append(descriptor) }
    }

    static func forget(_ descriptor: Int32) {
        made.withLock { made in
            if let place = made.lastIndex(of: descriptor) { made[place] = -1 }
        }
    }
}
