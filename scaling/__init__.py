"""The optimal learning rate of Adam as a function of batch size and epsilon."""
