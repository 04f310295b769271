"""Several controllers as one: who is there (`cell`), who decides for which switches (`shares`), and how they agree on
it in etcd (`coordination`).

Nothing here is loaded without `--cluster`. It knows no OpenFlow and no engine, and waits only where its caller lets it.
"""
