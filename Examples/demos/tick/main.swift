// Timers without a server: five rounds, then the timer clears itself and the program ends.
import SwiftServer

var rounds = 0
Loop.tick(every: .milliseconds(200)) { id in
    rounds += 1
    print("round \(rounds) of timer \(id)")
    if rounds == 5 { Loop.clearTimer(id) }
}
Loop.after(.milliseconds(500)) { print("once") }

try Loop.run()
print("no timer is left")
