// Timers in a program without a server: five rounds, and then the program ends.
import SwiftServer

var rounds = 0
Loop.tick(every: .seconds(1)) { id in
    rounds += 1
    print("round \(rounds)")
    if rounds == 5 { Loop.clearTimer(id) }
}

// A closure captures what its timer needs.
let name = "script"
Loop.after(.milliseconds(2500)) { print("half of the \(name) is done") }

// Asynchronous code may wait, too.
Loop.after(.zero) {
    Task {
        await Loop.sleep(for: .seconds(2))
        print("slept for two seconds")
    }
}

// Returns when the last timer has fired or was cleared.
try Loop.run()
