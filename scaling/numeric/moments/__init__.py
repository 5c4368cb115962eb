"""What Adam's update is on average: models, closed forms, exact Adam, simulation."""
