"""The derivation as text, LaTeX, Markdown, JSON and as a graph."""
