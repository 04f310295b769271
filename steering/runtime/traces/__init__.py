"""Traces of set-ups: their phases as spans, bounded in number, and how spans leave to a collector.

Knows settings and the engine's inputs and outputs. Must not change either; nothing but `--otlp` loads it.
"""
