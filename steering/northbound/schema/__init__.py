"""What requests may carry and what answers look like, as pydantic models and JSON Schemas for OpenAPI.

This package imports the records of `model` and the bases of `http`, and acts on nothing.
"""
