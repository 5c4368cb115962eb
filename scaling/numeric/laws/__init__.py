"""The optimal learning rate as a function of batch size and epsilon."""
