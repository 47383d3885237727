"""Mode *Live*: the movies as they come, the selected one in pictures and numbers, trends."""
