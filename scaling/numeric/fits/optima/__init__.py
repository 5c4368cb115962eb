"""The law through optima, by a fit of shifted powers."""
