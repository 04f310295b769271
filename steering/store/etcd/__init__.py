"""etcd as a store: requests to its JSON gateway (`gateway`), keys and transactions (`keys`), a watch that misses no change
(`watch`), and stored values (`etcd_store`).

Only the standard library is used. Nothing here is loaded by a controller without `--cluster`.
"""
