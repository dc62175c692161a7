"""The watchdog: a process beside a stream that can cancel and flatten its account without the engine."""
