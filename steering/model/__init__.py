"""The records that all other layers use. They are frozen, and have no behaviour beyond their own fields."""
