"""Several controllers (workers) on one machine, started by a parent with `--workers`. The parent is their store (`store.etcd`), listens
for switches, hands each connection to the worker that decides for the switch, and starts a worker again that died.

A worker is a member of a cluster like any other. The parent decides nothing and loads no hub.
"""
