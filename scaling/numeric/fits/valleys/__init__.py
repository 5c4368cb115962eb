"""The valley of the loss around the best learning rate, in every cell of a sweep."""
