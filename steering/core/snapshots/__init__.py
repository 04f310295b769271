"""Knows: the engine, as others may see it: records of `model.snapshot` and `model.kept`, made at the call.
May touch: nothing: it only reads.
Must not: change the engine, make JSON, or be imported by any other room.
"""
