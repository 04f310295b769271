"""What the relay and its controller say to each other: reports up, intents and bindings down, discovery of MCPs.

Each conversation has a thread of its own, so that relaying never waits for it. What a controller says is checked here,
bounded and counted before it reaches the kernel.
"""
