"""etcd as a store: the JSON gateway's requests (`gateway`), keys and transactions (`keys`), a watch that misses nothing
(`watch`), and kept values (`etcd_store`).

Only the standard library is used. Nothing here is loaded by a controller without `--cluster`.
"""
