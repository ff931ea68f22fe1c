"""What two people sign, and whether it still holds: go, dual control, what a signature binds."""
