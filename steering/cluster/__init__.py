"""Several controllers of one site, called a cell. `cell` knows its members, `shares` assigns the switches to them,
`coordination` agrees on that assignment in etcd, and `policy_agreement` and `policy_follower` on one policy for all.

A *share* is a fixed part of the switches, by a hash of the datapath id. Its *owner* decides for these switches; its
*standbys* follow in a fixed order. Each has a *generation*, a number with which it takes the switches over: a switch refuses
a controller with an older one. This package is loaded only with `--cluster`. It knows no OpenFlow and no engine.
"""
