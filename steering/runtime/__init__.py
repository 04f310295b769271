"""The running controller: puts the engine, OpenFlow, REST, stores and the cluster together, and ends them in order.

Knows settings, files, signals and the hub, which it patches before anything else is loaded. May use every package of the controller.
It must not decide on a connection, or be imported by any package but `cli`.
"""
