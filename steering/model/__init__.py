"""The records that all other layers use. Most are frozen, and compute nothing but from their own fields."""
