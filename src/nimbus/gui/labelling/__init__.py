"""The page on which people judge cells by eye."""
