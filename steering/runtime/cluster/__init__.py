"""A controller's part in a cluster: its membership in etcd, its streams with the others, and the policy they agree on.

Knows settings, the cluster's records and the switches' roles. Must not know HTTP; nothing but `--cluster` loads it.
"""
