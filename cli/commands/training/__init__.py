"""Commands about models in training: trials, measurements, findings."""
