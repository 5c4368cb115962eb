"""From a user's own sweep to the law: runs, valleys, forms, fits, intervals."""
