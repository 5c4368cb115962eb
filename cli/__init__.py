"""The command ``lr``: one module per subcommand. It contains no formula."""
