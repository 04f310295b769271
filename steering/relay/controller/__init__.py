"""The relay's side of its conversation with the controller: reports, intents, port bindings, discovery of MCPs.

Each conversation has a thread of its own, so that relaying never waits for the controller. What a controller says is
checked and bounded here before it reaches the kernel; what is refused is counted.
"""
