"""What is installed elsewhere than from a checkout: the wheel, the Debian package, the containers."""
