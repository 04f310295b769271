"""Stores what outlives a controller: one small interface (`interface`), the state directory and etcd behind it, and the format
of every stored value.

This package knows the records of `model`, and no engine and no REST. Everything that it reads is untrusted: size and depth are
bounded, and each refusal has a name (`interface.StateRefusal`).
"""
