"""Which runs to buy next: what each is expected to tell about the answer, and what it costs."""
