"""Mode *System*: workers, queue, times of the stages, what was set aside, the journal."""
