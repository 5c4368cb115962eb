"""What a user has, as evidence on one law; its posterior; how well that predicts."""
