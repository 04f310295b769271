"""Several controllers as one: who is there (`cell`), who decides for which switches (`shares`), how they agree on
it in etcd (`coordination`), and on the policy that all go by (`policy_agreement`, `policy_follower`).

Nothing here is loaded without `--cluster`. It knows no OpenFlow and no engine, and waits only where its caller lets it.
"""
