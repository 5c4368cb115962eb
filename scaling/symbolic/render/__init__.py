"""The derivation in its forms: text, Markdown with a graph, LaTeX, JSON."""
