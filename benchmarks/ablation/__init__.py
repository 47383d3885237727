"""What each part that knows the causes brings: map weights, restoration and picking with four kinds of knowledge."""
