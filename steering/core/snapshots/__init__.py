"""Knows: the engine. It makes records of the engine's state for others (`model.snapshot`, `model.kept`), at each call.
May touch: nothing. It only reads.
Must not: change the engine, make JSON, or be imported by any other room.
"""
