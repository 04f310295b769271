"""What requests may carry and what answers look like, as pydantic models and JSON Schemas for OpenAPI.

Nothing in here does anything: it imports the records of `model` and the bases of `http`.
"""
