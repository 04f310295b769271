"""A kept list of changes that must make a test fail, and what tries them."""
