"""Plans that more than one scenario uses: data only, made of `kit.plan`."""
