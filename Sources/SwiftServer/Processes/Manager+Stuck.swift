internal import Glibc

/// Processes whose code does not return. Only the manager can detect them: everything else in the process is blocked.
extension Manager {
    /// The interval at which processes are checked; `nil`: never.
    var stuckInterval: Duration? {
        let limits = [settings.stuckAfter, settings.taskTimeout].compactMap { $0 }
        return limits.min().map { max(.milliseconds(5), $0 / 4) }
    }

    /// Reports processes that are stuck, and kills those that the settings say.
    mutating func watchStuck() {
        for index in seats.indices where !seats[index].isEmpty && seats[index].role.isManaged {
            let activity = activity(of: seats[index].id)
            if activity.isRunning { watchHandler(of: index, activity) } else { seats[index].stuckSince = nil }
            // A task may take as long as it wants, but not while its process is stopped.
            let progresses = activity.isRunning && !isStoppedInTask(seats[index], activity)
            if progresses { seats[index].forgetLooks() } else { watchPulse(of: index, activity) }
        }
    }

    private func isStoppedInTask(_ seat: Seat, _ activity: Activity) -> Bool {
        settings.stuckAfter != nil && activity.isOnTask && system.isStopped(seat.pid)
    }

    private mutating func watchHandler(of index: Int, _ activity: Activity) {
        let isTask = activity.isOnTask
        guard let limit = isTask ? settings.taskTimeout : settings.stuckAfter, activity.runningFor >= limit
        else { return }
        let kills = isTask || settings.killsStuck
        // Reported once for each callback.
        guard kills || seats[index].stuckSince != activity.served else { return }
        seats[index].stuckSince = activity.served
        system.log(
            .warning,
            "\(layout.name(of: seats[index].id)) (pid \(seats[index].pid)) has been\(activity.place) for "
                + "\(activity.runningFor)\(kills ? " and is killed" : "")")
        if kills { system.send(SIGKILL, to: seats[index].pid) }
    }

    /// A process that runs no handler takes a turn when it is woken, unless it is stopped or hangs elsewhere. All looks
    /// together, of which each wakes it, take as long as `stuckAfter`.
    private mutating func watchPulse(of index: Int, _ activity: Activity) {
        let looks = 4
        // A process that has not opened its link yet has the turns of its predecessor.
        guard let limit = settings.stuckAfter, activity.turns > 0,
            system.pid(of: seats[index].id) == seats[index].pid
        else { return }
        let silent = seats[index].looks(at: activity.turns, now, every: limit / looks)
        if silent > 0 { system.wake(seats[index].id) }
        guard silent > looks, !seats[index].isReportedSilent else { return }
        seats[index].isReportedSilent = true
        let place = (activity.isRunning ? ", stopped" : "") + activity.place
        system.log(
            .warning,
            "\(layout.name(of: seats[index].id)) (pid \(seats[index].pid))\(place), has not responded for "
                + "\(limit)\(settings.killsStuck ? " and is killed" : "")")
        if settings.killsStuck { system.send(SIGKILL, to: seats[index].pid) }
    }
}
