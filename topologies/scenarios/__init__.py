"""The scenarios: one file each, with a `SCENARIO` in it. No scenario imports another. `catalogue` lists all of them."""
