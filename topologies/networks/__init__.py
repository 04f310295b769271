"""Network plans that more than one scenario uses. They are data only, made of the classes of `kit.plan`."""
