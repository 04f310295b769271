"""What the other layers talk about: frozen records, no behaviour beyond their own fields."""
