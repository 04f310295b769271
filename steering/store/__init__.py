"""What outlives a controller: one small interface (`interface`), the state directory behind it, and the format of
every value that is kept.

It knows the records of `model` and no engine, no REST and no clock but the one it is given. Everything that is read
is untrusted: bounded in size and depth, and refused by name (`interface.StateRefusal`).
"""
