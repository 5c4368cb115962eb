"""How gradients differ between parameters, and averages over them."""
