"""The running controller: puts the engine, OpenFlow, REST, stores and the cluster together, and ends them in order.

Knows settings, files, signals and the hub, which it patches before anything else is loaded. May use all packages but `cli`.
It must not decide on a connection, or read a message of OpenFlow.
"""
