"""Episodes of an account on a recorded market: for who chooses the policy from outside, epoch by epoch."""
