"""From optima and sweeps to a law."""
